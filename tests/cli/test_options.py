"""The options of plan and quantize: each means what it says, or the error names it."""
import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

BAD_USE, UNREADABLE, PLUGIN, RESOURCES = 1, 2, 3, 4


@pytest.fixture
def model(tmp_path):
    """A model directory with two weights of 64 x 256 float32."""
    source = tmp_path / "model"
    source.mkdir()
    rng = np.random.default_rng(0)
    save_file({f"{name}.weight": rng.standard_normal((64, 256), dtype=np.float32) for name in ("to_q", "to_k")},
              source / "model.safetensors")
    return source


def methods(plan):
    return {t["name"]: t["method"] for t in plan["tensors"] if t["action"] == "quantize"}


# Repeatable options and assignments

@pytest.mark.parametrize("option", [("--rule", "to_q=nf4"), ("--type", "nf4", "--skip", "to_q"), ("--plugin-path", "/none", "--type", "nf4")])
def test_a_repeatable_option_leaves_the_path_alone(precis, model, option):
    assert methods(precis.json("plan", *option, model))


def test_component_before_the_path(precis, pipelines):
    assert methods(precis.json("plan", "--component", "transformer=nf4", "--component", "vae=keep", pipelines("sd3")))


@pytest.mark.parametrize("rule, expected", [
    ("(?:to_q|to_k)=nf4", {"to_q.weight": "nf4", "to_k.weight": "nf4"}),
    ("[[:alpha:]]+_q.weight=nf4", {"to_q.weight": "nf4"}),
    ("to_q=nf4:bnb_4bit_use_double_quant=true", {"to_q.weight": "nf4:bnb_4bit_use_double_quant=true"}),
    ("(?P<name>to_q)=gguf:q4_k", {"to_q.weight": "gguf:q4_k"}),
    ('to_q={"quant_method": "bitsandbytes", "load_in_8bit": true}', {"to_q.weight": "int8"})])
def test_a_rule_is_cut_where_a_method_can_stand(precis, model, rule, expected):
    assert methods(precis.json("plan", model, "--rule", rule)) == expected


def test_an_error_names_the_option_and_not_the_tensor_alone(precis, model):
    assert "--rule 'to_q=nf5'" in precis("plan", model, "--rule", "to_q=nf5", code=BAD_USE).stderr
    assert "--type nf5" in precis("plan", model, "--type", "nf5", code=BAD_USE).stderr


def test_a_wrong_option_of_a_method_is_no_tensors_fault(precis, model):
    spec = "nf4:bnb_4bit_quant_type=nf9"
    error = precis("plan", model, "--type", spec, code=BAD_USE).stderr.splitlines()[0]
    assert f": --type {spec}: " in error and error.count(spec) == 1 and "tensor" not in error


# Numbers

@pytest.mark.parametrize("option", [("--threads", "100000"), ("--threads", "-1"), ("--max-memory", "0"), ("--max-memory", "1"),
                                    ("--max-memory", "many"), ("--max-shard-size", "0")])
def test_a_number_that_cannot_be_meant_is_bad_use(precis, model, option):
    result = precis("plan", model, "--type", "nf4", *option, code=BAD_USE)
    assert option[0] in result.stderr and "terminate" not in result.stderr


def test_a_tensor_beyond_max_memory_is_said_by_plan_and_stops_quantize(precis, tmp_path):
    source, out = tmp_path / "large", tmp_path / "out"
    source.mkdir()
    save_file({"wide.weight": np.zeros((2048, 2048), np.float32), "small.weight": np.zeros((64, 64), np.float32)},
              source / "model.safetensors")
    options = ["--type", "int8", "--max-memory", "2MiB"]
    warnings = precis.json("plan", source, *options)["warnings"]
    assert any("'wide.weight' needs 4" in w and "--max-memory 5MiB" in w for w in warnings), warnings
    result = precis("quantize", source, "-o", out, *options, "--progress", "none", code=RESOURCES)
    assert "'wide.weight'" in result.stderr and "--max-memory 5MiB" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["large"]
    precis("quantize", source, "-o", out, "--type", "int8", "--max-memory", "5MiB", "--progress", "none")


# Wishes that come to nothing

def test_a_component_asked_for_by_name_that_default_skips_keep_whole(precis, pipelines):
    warnings = precis.json("plan", pipelines("sd3"), "--component", "vae=nf4", "--component", "transformer=nf4")["warnings"]
    assert any("vae=nf4" in w and "default skip" in w and "--no-default-skips" in w for w in warnings), warnings
    alone = precis("plan", pipelines("sd3"), "--component", "vae=nf4", code=BAD_USE)
    assert "nothing would be quantized" in alone.stderr and "default skip" in alone.stderr and "--no-default-skips" in alone.stderr
    assert methods(precis.json("plan", pipelines("sd3"), "--component", "vae=nf4", "--no-default-skips"))


def test_weights_that_no_method_takes_are_the_reason(precis, tmp_path):
    save_file({"layer.weight": np.zeros((64, 64), np.float64)}, tmp_path / "model.safetensors")
    result = precis("quantize", tmp_path / "model.safetensors", "-o", tmp_path / "out.safetensors", "--type", "nf4",
                    "--progress", "none", code=BAD_USE)
    assert "layer.weight" in result.stderr and "must be float32, float16 or bfloat16" in result.stderr


# Importance matrices

def write_imatrix(path, entries):
    """The older form of llama.cpp: name, calls, sums of squares."""
    data = struct.pack("<i", len(entries))
    for name, (calls, values) in entries.items():
        data += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(values))
        data += np.asarray(values, np.float32).tobytes()
    path.write_bytes(data)
    return path


def test_an_importance_matrix_of_another_model(precis, model, tmp_path):
    matrix = write_imatrix(tmp_path / "imatrix.dat", {"blk.0.attn_q.weight": (1, np.ones(256))})
    result = precis("plan", model, "--type", "q4_k", "--imatrix", matrix, code=BAD_USE)
    assert "blk.0.attn_q.weight" in result.stderr and "to_k.weight" in result.stderr


def test_an_importance_matrix_for_a_method_that_uses_none(precis, model, tmp_path):
    matrix = write_imatrix(tmp_path / "imatrix.dat", {"to_q.weight": (1, np.ones(256))})
    assert "nf4 uses none" in precis("plan", model, "--type", "nf4", "--imatrix", matrix, code=BAD_USE).stderr


def test_an_importance_matrix_without_sense(precis, model, tmp_path):
    values = np.ones(256)
    values[7] = np.nan
    matrix = write_imatrix(tmp_path / "nan.dat", {"to_q.weight": (1, values)})
    result = precis("plan", model, "--type", "q4_k", "--imatrix", matrix, code=UNREADABLE)
    assert "nan.dat" in result.stderr and "to_q.weight" in result.stderr and "column 7" in result.stderr
    matrix = write_imatrix(tmp_path / "zero.dat", {"to_q.weight": (0, np.ones(256))})
    warnings = precis.json("plan", model, "--type", "q4_k", "--imatrix", matrix)["warnings"]
    assert any("zero counts for 'to_q.weight'" in w for w in warnings)
    assert any("1 of 2 weights have no entry" in w and "'to_k.weight'" in w for w in warnings)


def test_the_importance_matrix_is_in_the_provenance(precis, model, tmp_path):
    import hashlib

    import gguf
    matrix = write_imatrix(tmp_path / "imatrix.dat", {f"{n}.weight": (1, np.ones(256)) for n in ("to_q", "to_k")})
    precis("quantize", model, "-o", tmp_path / "out.gguf", "--type", "q4_k", "--imatrix", matrix, "--progress", "none")
    field = gguf.GGUFReader(tmp_path / "out.gguf").fields["precis.provenance"]
    recipe = json.loads(bytes(field.parts[field.data[0]]))["recipe"]
    assert recipe["imatrix"] == {"file": "imatrix.dat", "sha256": hashlib.sha256(matrix.read_bytes()).hexdigest()}


# Recipes

def test_a_recipe_holds_everything_that_changes_the_result(precis, model, tmp_path):
    matrix = write_imatrix(tmp_path / "imatrix.dat", {f"{n}.weight": (1, np.arange(256) + 1) for n in ("to_q", "to_k")})
    save_file({"to_q.weight": np.ones((64, 256), np.float32), "to_k.weight": np.ones((64, 256), np.float32)},
              model / "model.fp16.safetensors")
    options = ["--type", "q4_k", "--imatrix", matrix, "--variant", "fp16", "--max-shard-size", "1KiB", "--lenient",
               "--max-memory", "64MiB", "--threads", "1"]
    recipe = tmp_path / "recipe.toml"
    first = precis.json("plan", model, *options, "--emit-recipe", recipe)
    again = precis.json("plan", model, "--recipe", recipe)
    assert again["fingerprint"] == first["fingerprint"] and again["threads"] == 1 and again["max_memory_bytes"] == 64 << 20
    assert precis.json("plan", model, "--recipe", recipe, "--emit-recipe", tmp_path / "second.toml")
    assert (tmp_path / "second.toml").read_text() == recipe.read_text()
    for override in (("--variant", "none"), ("--type", "q8_0"), ("--skip", "to_q")):
        changed = precis("plan", model, "--recipe", recipe, *override, "--json", code=UNREADABLE if override[1] == "none" else 0)
        assert first["fingerprint"] not in changed.stdout
    assert precis.json("plan", model, "--recipe", recipe, "--threads", "2")["threads"] == 2


@pytest.mark.parametrize("line, key, kind", [
    ("type = 4", "type", "a text"), ("default_skips = 'no'", "default_skips", "true or false"), ("threads = -1", "threads", "a number"),
    ("imatrix = ['a']", "imatrix", "a text"), ("skips = 'x'", "skips", "a list of texts"), ("components = 'x'", "components", "a table"),
    ("lenient = 1", "lenient", "true or false"), ("max_memory = 4", "max_memory", "a text")])
def test_a_recipe_with_a_value_of_another_type(precis, model, tmp_path, line, key, kind):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(line + "\n")
    result = precis("plan", model, "--recipe", recipe, code=BAD_USE)
    assert f"recipe.toml: '{key}' must be {kind}" in result.stderr


# --config

def test_config_as_toml_text(precis, pipelines):
    plan = precis.json("plan", pipelines("sd3"), "--config", '[transformer]\nquant_method = "bitsandbytes"\nload_in_8bit = true\n')
    assert set(methods(plan).values()) == {"int8"}
    flat = precis.json("plan", pipelines("sd3") / "transformer", "--config", 'quant_method = "bitsandbytes"\nload_in_8bit = true')
    assert set(methods(flat).values()) == {"int8"}


@pytest.mark.parametrize("name", ["nothere.json", "nothere.toml", "some/folder"])
def test_config_of_a_file_that_is_not_there(precis, model, name):
    for command in (("plan", model, "--config", name), ("config", "resolve", name)):
        assert f"{name}: there is no such file" in precis(*command, code=UNREADABLE).stderr


# Variants, and components that no plugin reads

def test_a_variant_is_taken_where_it_exists(precis, pipelines, tmp_path):
    import shutil
    source = tmp_path / "pipeline"
    shutil.copytree(pipelines("sd3"), source)
    plain = source / "transformer" / "diffusion_pytorch_model.safetensors"
    shutil.copy(plain, plain.with_name("diffusion_pytorch_model.fp16.safetensors"))
    plain.unlink()
    plan = precis.json("plan", source, "--component", "transformer=nf4", "--variant", "fp16")
    assert methods(plan)
    absent = precis("plan", source, "--component", "transformer=nf4", "--variant", "fp8", code=UNREADABLE)
    assert "fp8" in absent.stderr


def test_a_component_that_no_plugin_reads_is_carried_over(precis, pipelines, tmp_path):
    import filecmp
    import shutil
    source, out = tmp_path / "pipeline", tmp_path / "out"
    shutil.copytree(pipelines("sd3"), source)
    config = source / "text_encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "quantization_config": {"quant_method": "sinq", "nbits": 4}}, indent=4))
    plan = precis.json("plan", source, "--component", "transformer=nf4")
    assert any("text_encoder" in w and "byte for byte" in w and "sinq" in w for w in plan["warnings"])
    precis("quantize", source, "-o", out, "--component", "transformer=nf4", "--progress", "none")
    for name in ("config.json", "model.safetensors"):
        assert filecmp.cmp(source / "text_encoder" / name, out / "text_encoder" / name, shallow=False)
    assert sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) == plan["total"]["output_bytes"]
    assert "component text_encoder was not decoded" in precis("verify", out).stdout
    asked = precis("plan", source, "--component", "text_encoder=nf4", code=PLUGIN)
    assert "sinq" in asked.stderr


def test_a_malformed_quantization_config_is_an_error(precis, model):
    (model / "config.json").write_text('{"model_type": "bert", "quantization_config": 5}')
    assert "'quantization_config' is 5" in precis("inspect", model, code=UNREADABLE).stderr

"""Bad input: a clear error that names the place and the remedy, the right exit code, nothing left behind."""
import json
import struct
import subprocess

import numpy as np
import pytest
from safetensors.numpy import save_file

BAD_USE, UNREADABLE, PLUGIN, RESOURCES, QUALITY, VERIFICATION = 1, 2, 3, 4, 5, 6


@pytest.fixture
def model(tmp_path):
    """A model directory with one weight of 64 x 64 float32."""
    source = tmp_path / "model"
    source.mkdir()
    rng = np.random.default_rng(0)
    save_file({"layer.weight": rng.standard_normal((64, 64), dtype=np.float32)}, source / "model.safetensors")
    return source


@pytest.fixture
def refused(precis, tmp_path):
    """Quantizes `source` to nf4, expects this exit code and these words, and that nothing is left behind."""

    def check(source, code, *words, args=("--type", "nf4")):
        out = tmp_path / "out"
        result = precis("quantize", source, "-o", out, *args, "--progress", "none", code=code)
        for word in words:
            assert word in result.stderr, result.stderr
        assert not out.exists() and not (tmp_path / "out.partial").exists()
        return result.stderr

    return check


def write_header(path, header, data=b"\0" * 64, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(begin, end, shape=(4, 4), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_a_path_that_is_not_there(refused, tmp_path):
    refused(tmp_path / "nothing", UNREADABLE, "nothing", "hint:")


def test_a_directory_without_weights(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", UNREADABLE, "empty")


def test_a_truncated_file_names_the_tensor(refused, model):
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    refused(model, UNREADABLE, "model.safetensors", "layer.weight")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**40, 0])
def test_a_header_length_beyond_the_file(refused, model, length):
    write_header(model / "model.safetensors", {"layer.weight": entry(0, 64)}, length=length)
    refused(model, UNREADABLE, "model.safetensors")


def test_overlapping_tensors(refused, model):
    write_header(model / "model.safetensors", {"a.weight": entry(0, 64), "b.weight": entry(32, 96)}, b"\0" * 96)
    message = refused(model, UNREADABLE, "model.safetensors")
    assert "a.weight" in message or "b.weight" in message


def test_duplicate_keys(refused, model):
    one = json.dumps(entry(0, 64))
    write_header(model / "model.safetensors", f'{{"a.weight":{one},"a.weight":{one}}}'.encode())
    refused(model, UNREADABLE, "model.safetensors", "a.weight")


def test_a_size_that_contradicts_the_shape(refused, model):
    write_header(model / "model.safetensors", {"a.weight": entry(0, 64, shape=(5, 4))})
    refused(model, UNREADABLE, "a.weight")


def test_an_index_that_names_a_missing_shard(refused, model):
    (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": {"layer.weight": "model-00001-of-00002.safetensors",
                                            "other.weight": "model-00002-of-00002.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(model, UNREADABLE, "model-00002-of-00002.safetensors")


def test_an_index_that_leaves_the_directory(refused, model):
    index = {"metadata": {}, "weight_map": {"layer.weight": "../model.safetensors"}}
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(model, UNREADABLE, "../model.safetensors")


def test_a_tensor_name_with_dots_and_slashes_stays_a_name(precis, model, tmp_path):
    save_file({"../../escape.weight": np.ones((64, 64), np.float32)}, model / "model.safetensors")
    precis("quantize", model, "-o", tmp_path / "out", "--type", "nf4", "--progress", "none")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "out"]
    assert precis.json("verify", tmp_path / "out", "--source", model)


def test_a_component_outside_the_pipeline_is_refused(refused, pipelines, tmp_path):
    source = tmp_path / "pipeline"
    source.mkdir()
    (source / "model_index.json").write_text(json.dumps(
        {"_class_name": "StableDiffusion3Pipeline", "../transformer": ["diffusers", "SD3Transformer2DModel"]}))
    refused(source, UNREADABLE, "../transformer")


def test_empty_and_scalar_tensors_pass_through(precis, model, tmp_path):
    save_file({"layer.weight": np.ones((64, 64), np.float32), "none.weight": np.zeros((0, 64), np.float32),
               "scale": np.array(3, np.float32)}, model / "model.safetensors")
    precis("quantize", model, "-o", tmp_path / "out", "--type", "nf4", "--progress", "none")
    tensors = {t["name"]: t for c in precis.json("inspect", tmp_path / "out", "--tensors")["components"]
               for t in c["tensors"]}
    assert tensors["none.weight"]["shape"] == [0, 64]
    assert tensors["scale"]["shape"] == []


def test_nan_weights_are_reported(precis, model, tmp_path):
    weight = np.ones((64, 64), np.float32)
    weight[3, 5] = np.nan
    save_file({"layer.weight": weight}, model / "model.safetensors")
    result = precis("quantize", model, "-o", tmp_path / "out", "--type", "nf4", "--progress", "none")
    assert "layer.weight" in result.stderr and "NaN" in result.stderr


def test_an_unknown_preset_names_the_nearest(refused, model):
    refused(model, BAD_USE, "nf5", "nf4", args=("--type", "nf5"))


def test_a_rule_without_a_match(refused, model):
    refused(model, BAD_USE, "nowhere", args=("--type", "nf4", "--rule", "nowhere=int8"))


def test_a_component_that_is_not_there(refused, pipelines):
    refused(pipelines("sd3"), BAD_USE, "text_encoder_9", "text_encoder_3", args=("--component", "text_encoder_9=nf4"))


def test_a_method_without_a_plugin(refused, model):
    refused(model, PLUGIN, "nothing_like_it", args=("--config", '{"quant_method": "nothing_like_it"}'))


def test_a_recipe_with_a_foreign_key_or_a_broken_rule(refused, model, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('color = "red"\n')
    refused(model, BAD_USE, "color", args=("--recipe", recipe))
    recipe.write_text('[[rules]]\npattern = "layer"\n')
    refused(model, BAD_USE, "recipe.toml", "spec", args=("--recipe", recipe))


def test_quantized_input_is_not_quantized_again(precis, refused, model, tmp_path):
    precis("quantize", model, "-o", tmp_path / "first", "--type", "nf4", "--progress", "none")
    refused(tmp_path / "first", BAD_USE, "layer.weight", args=("--type", "int8"))


def test_an_existing_result_is_not_replaced(precis, model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    result = precis("quantize", model, "-o", out, "--type", "nf4", "--progress", "none", code=UNREADABLE)
    assert "--force" in result.stderr and (out / "mine.txt").read_text() == "mine"


def test_a_target_that_cannot_be_written(precis, model):
    result = precis("quantize", model, "-o", "/proc/nowhere/out", "--type", "nf4", "--progress", "none", code=UNREADABLE)
    assert "/proc/nowhere" in result.stderr


def test_an_error_beyond_the_limit(precis, model, tmp_path):
    result = precis("quantize", model, "-o", tmp_path / "out", "--type", "nf4", "--max-error", "0.01", "--progress", "none",
                    code=QUALITY)
    assert "layer.weight" in result.stderr
    assert precis("compare", model, tmp_path / "out", "--max-error", "0.01", code=QUALITY)


def test_a_damaged_result_fails_verification(precis, model, tmp_path):
    out = tmp_path / "out"
    precis("quantize", model, "-o", out, "--type", "nf4", "--progress", "none")
    file = out / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    precis("verify", out, code=VERIFICATION)


def test_errors_are_json_too(precis, model):
    result = precis("plan", model, "--type", "nf5", "--json", code=BAD_USE)
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "invalid-argument" and "nf5" in error["message"] and error["hint"]


@pytest.mark.skipif(subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
                    reason="mounting a small disk needs root, and a root directory that is a mount")
def test_a_full_disk_is_seen_before_anything_is_written(precis, model, tmp_path):
    save_file({"layer.weight": np.ones((1024, 2048), np.float32)}, model / "model.safetensors")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""mount -t tmpfs -o size=256k none {disk} &&
        {precis.path} quantize {model} -o {disk}/out --type nf4 --progress none; echo code $?; ls -A {disk}"""
    result = subprocess.run(["unshare", "--mount", "bash", "-c", script], capture_output=True, text=True)
    assert result.stdout.split() == ["code", str(RESOURCES)], result.stdout + result.stderr
    assert "free some space" in result.stderr

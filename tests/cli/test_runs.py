"""What a run promises: an exact plan, resuming, a result that appears whole, and recipes."""
import filecmp
import json
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from safetensors.numpy import save_file


def files_of(directory):
    return {p.relative_to(directory): p for p in directory.rglob("*") if p.is_file()}


def expect_same_files(a, b):
    assert files_of(a).keys() == files_of(b).keys()
    for name, path in files_of(a).items():
        assert filecmp.cmp(path, files_of(b)[name], shallow=False), name


@pytest.fixture(scope="session")
def large_model(tmp_path_factory):
    """About 100 MB of float32 in 48 weights, so that a run can be met in the middle."""
    source = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(1)
    save_file({f"layers.{i}.weight": rng.standard_normal((512, 1024), dtype=np.float32) for i in range(48)},
              source / "model.safetensors")
    return source


@pytest.mark.parametrize("spec", ["nf4", "int8", "q4_k", "q8_0", "qint4", "fp4-dq"])
def test_the_plan_is_exact_to_the_byte(precis, pipelines, tmp_path, spec):
    source = pipelines("sd3")
    options = ["--component", f"transformer={spec}"]
    plan = precis.json("plan", source, *options)
    precis("quantize", source, "-o", tmp_path / "out", *options, "--progress", "none")
    assert sum(p.stat().st_size for p in files_of(tmp_path / "out").values()) == plan["total"]["output_bytes"]
    assert plan["peak_memory_bytes"] > 0
    tensor = next(t for t in plan["tensors"] if t["action"] == "quantize")
    assert tensor["component"] == "transformer" and tensor["name"] and tensor["method"]
    assert all(output.keys() >= {"name", "dtype", "shape", "bytes"} for output in tensor["outputs"])


def test_plan_writes_nothing(precis, pipelines, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(pipelines("sd3"), source)
    before = {name: path.stat().st_mtime_ns for name, path in files_of(source).items()}
    precis("plan", source, "--component", "transformer=nf4")
    assert {name: path.stat().st_mtime_ns for name, path in files_of(source).items()} == before


def test_a_killed_run_goes_on_to_the_same_bytes(precis, large_model, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = ["quantize", large_model, "--type", "q4_k", "--threads", "1", "--progress", "none", "-o"]
    started = time.monotonic()
    precis(*command, whole)
    seconds = time.monotonic() - started
    met = 0
    for share in (0.2, 0.4, 0.6):
        process = subprocess.Popen([precis.path, *map(str, command), str(killed)], stdout=subprocess.DEVNULL)
        time.sleep(seconds * share / 2)
        process.send_signal(signal.SIGKILL)
        met += process.wait() == -signal.SIGKILL
        if killed.exists():
            break
    assert met > 0, "no kill met a run"
    if not killed.exists():
        precis(*command, killed)
    expect_same_files(whole, killed)
    assert not (tmp_path / "killed.partial").exists()


def test_an_interrupted_run_says_so_and_goes_on(precis, large_model, tmp_path):
    out = tmp_path / "out"
    command = [precis.path, "quantize", str(large_model), "-o", str(out), "--type", "q4_k", "--threads", "1", "--progress", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate()
    assert process.returncode == 130 and "the same command goes on" in messages
    assert not out.exists()
    assert subprocess.run(command, capture_output=True).returncode == 0
    precis("verify", out, "--source", large_model)


def test_a_source_that_changed_begins_anew(precis, large_model, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(large_model, source)
    command = [precis.path, "quantize", str(source), "-o", str(out), "--type", "q4_k", "--threads", "1", "--progress", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    save_file({f"layers.{i}.weight": np.full((512, 1024), i + 1, np.float32) for i in range(48)}, source / "model.safetensors")
    result = precis("quantize", source, "-o", out, "--type", "q4_k", "--threads", "1", "--progress", "none")
    assert re.search("warning.*(chang|anew|another)", result.stderr), result.stderr
    precis("verify", out, "--source", source, "--max-error", "0.05")


def test_a_recipe_repeats_a_plan(precis, pipelines, tmp_path):
    options = ["--component", "transformer=gguf:q4_k", "--component", "text_encoder_3=int8",
               "--rule", r"transformer_blocks\.0\..*to_k=gguf:q8_0", "--skip", r"attn\.to_q"]
    recipe = tmp_path / "recipe.toml"
    first = precis.json("plan", pipelines("sd3"), *options, "--emit-recipe", recipe)
    again = precis.json("plan", pipelines("sd3"), "--recipe", recipe)
    # The prediction holds what the process itself takes at that moment.
    assert first.pop("peak_memory_bytes") == pytest.approx(again.pop("peak_memory_bytes"), rel=0.05)
    assert again == first


def test_gguf_goes_to_safetensors_and_back(precis, pipelines, tmp_path):
    source = pipelines("sd3") / "transformer"
    precis("convert", source, "-o", tmp_path / "model.gguf", "--progress", "none")
    precis("convert", tmp_path / "model.gguf", "-o", tmp_path / "model.safetensors", "--progress", "none")
    differences = precis.json("compare", source, tmp_path / "model.safetensors")
    assert all(t["relative_error"] == 0 for t in differences.get("tensors", []))


def test_other_files_of_a_pipeline_are_carried_over(precis, pipelines, tmp_path):
    source, out = pipelines("sd3"), tmp_path / "out"
    precis("quantize", source, "-o", out, "--component", "transformer=nf4", "--progress", "none")
    for name, path in files_of(source).items():
        if path.suffix == ".safetensors" or name.name == "config.json":
            continue
        assert filecmp.cmp(path, out / name, shallow=False), name


def test_an_installed_precis_finds_its_plugins(precis, tmp_path):
    prefix = tmp_path / "prefix"
    build = precis.path.parents[1]
    subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True, capture_output=True)
    installed = subprocess.run([prefix / "bin" / "precis", "backends", "--json"], capture_output=True, text=True, check=True,
                               env={**os.environ, "HOME": str(tmp_path)})
    plugins = json.loads(installed.stdout)["plugins"]
    assert {p["id"] for p in plugins} >= {"bitsandbytes", "gguf", "quanto"}
    assert all(str(prefix) in json.dumps(p) for p in plugins)


def test_config_resolve_reads_a_model_directory(precis, pipelines, tmp_path):
    precis("quantize", pipelines("sd3"), "-o", tmp_path / "out", "--component", "transformer=nf4", "--progress", "none")
    resolved = precis.json("config", "resolve", tmp_path / "out" / "transformer")
    assert resolved["method"] == "bitsandbytes_4bit" and resolved["config"]["bnb_4bit_quant_type"] == "nf4"
    assert resolved == precis.json("config", "resolve", tmp_path / "out" / "transformer" / "config.json")
    float_model = precis("config", "resolve", tmp_path / "out" / "vae", code=1)
    assert "vae/config.json: has no quantization_config" in float_model.stderr
    pipeline = precis("config", "resolve", tmp_path / "out", code=1)
    assert "one of its components" in pipeline.stderr


def test_force_replaces_a_checkpoint_and_nothing_else(precis, pipelines, tmp_path):
    source = tmp_path / "models" / "source"
    shutil.copytree(pipelines("sd3"), source)
    before = {name: path.read_bytes() for name, path in files_of(source).items()}
    options = ["--component", "transformer=nf4", "--progress", "none", "--force"]
    for out, reason in ((source, "is the source itself"), (source / "transformer", "lies in the source"),
                        (source / "new", "lies in the source"), (tmp_path / "models", "contains the source")):
        refused = precis("quantize", source, "-o", out, *options, code=2)
        assert reason in refused.stderr
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    assert "no checkpoint" in precis("quantize", source, "-o", tmp_path / "thesis", *options, code=2).stderr
    for name in ("out.old", "out2.partial"):
        shutil.copytree(tmp_path / "thesis", tmp_path / name)
    precis("quantize", source, "-o", tmp_path / "out", *options)
    precis("quantize", source, "-o", tmp_path / "out", *options)
    for resume in ("--resume", "--no-resume"):
        refused = precis("quantize", source, "-o", tmp_path / "out2", *options, resume, code=2)
        assert "out2.partial" in refused.stderr and "is in the way" in refused.stderr
    for name in ("thesis", "out.old", "out2.partial"):
        assert [path.name for path in (tmp_path / name).iterdir()] == ["thesis.txt"], name
    assert {name: path.read_bytes() for name, path in files_of(source).items()} == before


def test_a_single_file_does_not_replace_its_source(precis, tmp_path):
    save_file({"a.weight": np.ones((64, 64), np.float32)}, tmp_path / "model.safetensors")
    refused = precis("quantize", tmp_path / "model.safetensors", "-o", tmp_path / "model.safetensors", "--type", "nf4",
                     "--force", "--progress", "none", code=2)
    assert "is the source itself" in refused.stderr


def test_an_empty_directory_may_become_the_result(precis, pipelines, tmp_path):
    (tmp_path / "out").mkdir()
    precis("quantize", pipelines("sd3"), "-o", tmp_path / "out", "--component", "transformer=nf4", "--progress", "none")
    assert (tmp_path / "out" / "model_index.json").exists()

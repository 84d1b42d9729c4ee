"""What a command says: errors of weights and their limits, one JSON document, quiet, and a full standard output."""
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

DONE, BAD_USE, UNREADABLE, RESOURCES, QUALITY, INTERRUPTED = 0, 1, 2, 4, 5, 130


@pytest.fixture
def model(tmp_path):
    """model(name, **tensors) makes a model's directory; "layer.weight" of 64 x 64 when none are given."""

    def make(name="model", tensors=None):
        source = tmp_path / name
        source.mkdir()
        rng = np.random.default_rng(0)
        save_file(tensors or {"layer.weight": rng.standard_normal((64, 64), dtype=np.float32)}, source / "model.safetensors")
        return source

    return make


@pytest.fixture
def document(precis):
    """Runs a command with --json, expects this exit code, and gives the one document on standard output."""

    def run(*args, code=DONE):
        result = precis(*args, "--json", code=code)
        parsed = json.loads(result.stdout)
        if code == DONE:
            assert "error" not in parsed
        else:
            assert parsed["error"]["exit_code"] == code and parsed["error"]["message"] and parsed["error"]["code"]
        return parsed

    return run


# Weights that are not finite.

def test_weights_that_decode_to_infinity_are_an_infinite_error(precis, model, document, tmp_path):
    source, out = model(tensors={"layer.weight": np.full((64, 64), 1e30, np.float32)}), tmp_path / "out"
    result = precis("quantize", source, "-o", out, "--type", "q8_0", "--max-error", "0.1", "--progress", "none", code=QUALITY)
    assert "relative error of inf" in result.stderr
    assert "4096 finite values decode to NaN or infinity: q8_0 cannot hold them" in result.stderr
    assert "inf" in result.stdout
    assert "inf" in precis("compare", source, out).stdout
    [tensor] = document("compare", source, out, "--max-error", "1000", code=QUALITY)["tensors"]
    assert tensor["relative_error"] == tensor["max_error"] == "Infinity" and tensor["snr_db"] == "-Infinity"
    assert tensor["nonfinite_b"] == 4096


def test_what_is_not_finite_alike_on_both_sides_is_equal(precis, model, document):
    weight = np.ones((64, 64), np.float32)
    weight[0, :3] = np.nan, np.inf, -np.inf
    a, b = model("a", {"layer.weight": weight}), model("b", {"layer.weight": weight})
    [tensor] = document("compare", a, b, "--max-error", "0")["tensors"]
    assert tensor["relative_error"] == 0 and tensor["nonfinite_a"] == 3 and tensor["nonfinite_changed"] == 0


@pytest.mark.parametrize("other", [0.0, np.inf])
def test_a_nan_that_became_something_else_is_an_infinite_error(model, document, other):
    weight = np.ones((64, 64), np.float32)
    weight[0, 0] = np.nan
    a = model("a", {"layer.weight": weight})
    weight[0, 0] = other
    b = model("b", {"layer.weight": weight})
    [tensor] = document("compare", a, b, "--max-error", "0.5", code=QUALITY)["tensors"]
    assert tensor["relative_error"] == "Infinity" and tensor["nonfinite_changed"] == 1


def test_the_warning_of_a_nan_in_the_source_counts_both(precis, model, tmp_path):
    weight = np.ones((64, 64), np.float32)
    weight[3, 5] = np.nan
    result = precis("quantize", model(tensors={"layer.weight": weight}), "-o", tmp_path / "out", "--type", "nf4",
                    "--progress", "none")
    assert "'layer.weight': 1 values of the source are NaN or infinite" in result.stderr


# Limits.

def test_zero_is_a_limit(precis, model, tmp_path):
    precis("quantize", model(), "-o", tmp_path / "out", "--type", "nf4", "--max-error", "0", "--progress", "none", code=QUALITY)


@pytest.mark.parametrize("limit", ["-1", "-0.5", "nan", "much"])
def test_a_limit_is_zero_or_positive(precis, model, tmp_path, limit):
    source = model()
    for command in (["quantize", source, "-o", tmp_path / "out", "--type", "nf4"], ["compare", source, source],
                    ["verify", source, "--source", source]):
        assert limit in precis(*command, f"--max-error={limit}", code=BAD_USE).stderr
    assert not (tmp_path / "out").exists()


def test_a_limit_needs_something_that_is_measured(precis, model, tmp_path):
    source, out = model(), tmp_path / "out"
    assert "--source" in precis("verify", source, "--max-error", "1", code=BAD_USE).stderr
    unmeasured = precis("quantize", source, "-o", out, "--type", "nf4", "--no-measure-error", "--max-error", "1", code=BAD_USE)
    assert "--no-measure-error" in unmeasured.stderr
    assert "none is measured" in precis("convert", source, "-o", out, "--max-error", "1", code=BAD_USE).stderr
    assert not out.exists()


def test_two_checkpoints_without_a_common_weight_do_not_agree(precis, model):
    a, b = model("a", {"a.weight": np.ones((8, 8), np.float32)}), model("b", {"b.weight": np.ones((8, 8), np.float32)})
    assert "only in a: a.weight" in precis("compare", a, b).stdout
    assert "'a.weight' is in the first checkpoint only" in precis("compare", a, b, "--max-error", "1", code=QUALITY).stderr
    numbers = {"positions": np.arange(8)}
    c, d = model("c", numbers), model("d", numbers)
    assert "nothing was compared" in precis("compare", c, d, "--max-error", "1", code=QUALITY).stderr


def test_a_tensor_that_one_side_lacks_is_a_disagreement(precis, model):
    weight = np.ones((8, 8), np.float32)
    whole, part = model("whole", {"a.weight": weight, "b.weight": weight}), model("part", {"a.weight": weight})
    precis("compare", whole, part)
    assert "'b.weight' is in the first checkpoint only" in precis("compare", whole, part, "--max-error", "1", code=QUALITY).stderr
    assert "'b.weight' is in the second checkpoint only" in precis("compare", part, whole, "--max-error", "1", code=QUALITY).stderr


def test_a_component_that_one_side_lacks_is_a_disagreement(precis, pipelines, tmp_path):
    index = json.loads((pipelines("sd3") / "model_index.json").read_text())
    del index["vae"]
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    (fewer / "model_index.json").write_text(json.dumps(index))
    for name, value in index.items():
        if isinstance(value, list):
            (fewer / name).symlink_to(pipelines("sd3") / name)
    assert "only in a: vae" in precis("compare", pipelines("sd3"), fewer).stdout
    assert "'vae'" in precis("compare", pipelines("sd3"), fewer, "--max-error", "1", code=QUALITY).stderr


def test_integers_are_compared_too(precis, model):
    weight = np.ones((8, 8), np.float32)
    a = model("a", {"a.weight": weight, "position_ids": np.arange(8)})
    b = model("b", {"a.weight": weight, "position_ids": np.arange(8)[::-1].copy()})
    assert "other bytes: position_ids" in precis("compare", a, b).stdout
    assert "'position_ids' is not equal" in precis("compare", a, b, "--max-error", "1", code=QUALITY).stderr


# JSON.

def test_a_limit_that_is_passed_is_one_document(model, document, tmp_path):
    source, out = model(), tmp_path / "out"
    report = document("quantize", source, "-o", out, "--type", "nf4", "--max-error", "0.01", "--progress", "none", code=QUALITY)
    assert report["components"] and report["error"]["code"] == "quality"
    assert document("compare", source, out, "--max-error", "0.01", code=QUALITY)["tensors"]
    report = document("verify", out, "--source", source, "--max-error", "0.01", code=QUALITY)
    assert report["ok"] and report["error"]["hint"]


def test_a_failed_verification_is_one_document(precis, model, document, tmp_path):
    out = tmp_path / "out"
    precis("quantize", model(), "-o", out, "--type", "nf4", "--progress", "none")
    data = bytearray((out / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (out / "model.safetensors").write_bytes(data)
    report = document("verify", out, code=6)
    assert not report["ok"] and report["problems"][0] in report["error"]["message"]


@pytest.mark.parametrize("args", [["plan"], ["quantise", "x"], ["plan", "x", "--colour"], ["compare", "x", "y", "--max-error", "z"], []])
def test_a_wrong_option_is_one_document(document, args):
    error = document(*args, code=BAD_USE)["error"]
    assert error["code"] == "invalid-argument" and "--help" in error["hint"]


def test_an_interruption_is_one_document(precis, model, tmp_path):
    rng = np.random.default_rng(1)
    source = model(tensors={f"layers.{i}.weight": rng.standard_normal((512, 1024), dtype=np.float32) for i in range(24)})
    command = [precis.path, "quantize", source, "-o", tmp_path / "out", "--type", "q4_k", "--threads", "1", "--progress",
               "json", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    output, messages = process.communicate()
    assert process.returncode == INTERRUPTED and "the same command goes on" in messages
    assert json.loads(output)["error"] == {"code": "cancelled", "message": "interrupted", "exit_code": INTERRUPTED,
                                           "hint": "the same command goes on where it stopped"}


def test_an_interruption_of_what_cannot_go_on_is_one_document(precis, tmp_path):
    source = tmp_path / "model.safetensors"
    bytes_of_zeros = 4 << 30  # a sparse file: long to compare, nothing to store
    header = json.dumps({"layer.weight": {"dtype": "F32", "shape": [bytes_of_zeros >> 12, 1024],
                                          "data_offsets": [0, bytes_of_zeros]}}).encode()
    with open(source, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + bytes_of_zeros)
    process = subprocess.Popen([precis.path, "compare", source, source, "--threads", "1", "--json"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, messages = process.communicate()
    assert process.returncode == INTERRUPTED and "interrupted" in messages
    assert json.loads(output)["error"]["exit_code"] == INTERRUPTED


# Standard output and the terminal.

@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_a_full_standard_output_is_an_error(precis, model, json_flag):
    source = model()
    for command in (["plan", source, "--type", "nf4"], ["inspect", source], ["compare", source, source, "--all"],
                    ["verify", source], ["backends"], ["backends", "gguf"], ["doctor"], ["config", "resolve", "nf4"]):
        with open("/dev/full", "w") as full:
            result = subprocess.run([precis.path, *map(str, command), *json_flag], stdout=full, stderr=subprocess.PIPE, text=True)
        assert result.returncode == RESOURCES and "standard output" in result.stderr, command
    with open("/dev/full", "w") as full:
        assert subprocess.run([precis.path, "--help"], stdout=full, stderr=subprocess.DEVNULL).returncode == RESOURCES


def test_quiet_prints_errors_only(precis, model, tmp_path):
    weight = np.ones((64, 64), np.float32)
    weight[3, 5] = np.nan
    source, out = model(tensors={"layer.weight": weight}), tmp_path / "out"
    for command in (["plan", source, "--type", "nf4"], ["quantize", source, "-o", out, "--type", "nf4"], ["inspect", source],
                    ["compare", source, out], ["backends"], ["backends", "gguf"], ["config", "resolve", "nf4"], ["doctor"]):
        result = precis(*command, "-q")
        assert result.stdout == "" and result.stderr == "", command
    assert json.loads(precis("plan", source, "--type", "nf4", "-q", "--json").stdout)["components"]
    assert "layer.weight" in precis("verify", out, "-q", code=6).stderr


def test_a_tensors_name_cannot_drive_the_terminal(precis, model, tmp_path):
    name = "\x1b[31mlayer\r\x1b]0;title\x07.weight"
    shown = r"\x1b[31mlayer\r\x1b]0;title\x07.weight"
    weight = np.ones((64, 64), np.float32)
    weight[3, 5] = np.nan
    source, out = model("model", {name: weight}), tmp_path / "out"
    runs = [precis("quantize", source, "-o", out, "--type", "nf4", "--progress", "plain"),
            precis("plan", source, "--type", "nf4", "-v"), precis("inspect", source, "--tensors"), precis("compare", source, out),
            precis("verify", out, code=6), precis("compare", source, out, "--max-error", "0", code=QUALITY)]
    for run in runs:
        text = run.stdout + run.stderr
        assert shown in text and not set(text) & set("\x1b\x07\r"), text
    document = json.loads(precis("inspect", source, "--json").stdout)
    assert document["components"][0]["tensors"][0]["name"] == name


def test_messages_about_a_lone_model_name_no_component(precis, model):
    source = model()
    (source / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "nothing_like_it"}}))
    result = precis("inspect", source)
    assert result.stderr.startswith("warning: ") and "warning: :" not in result.stderr

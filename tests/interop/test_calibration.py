"""Calibrated quantization: less is lost at the network's output than by rounding, and a killed run goes on."""
import json
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

WORDS = ("a fox in the snow runs over old stones while rain falls on quiet green hills and two birds sing near the "
         "river bank under a bright moon").split()
BAD_USE, UNREADABLE, INTERRUPTED = 1, 2, 130


def texts(count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(6, 24))) for _ in range(count)]


@pytest.fixture
def calibration(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(texts(48, 1)) + "\n")
    return file


def transformers_network(directory):
    from transformers import CLIPTextModelWithProjection, T5EncoderModel

    kind = json.loads((directory / "config.json").read_text())["architectures"][0]
    network = {"T5EncoderModel": T5EncoderModel, "CLIPTextModelWithProjection": CLIPTextModelWithProjection}[kind]
    return network.from_pretrained(directory, dtype=torch.float32).eval()


@torch.inference_mode()
def states(network, tokenizer, weights=None):
    """The network's last hidden states for texts that nothing was calibrated with."""
    if weights is not None:
        network.load_state_dict(weights, strict=False)
    return [network(**tokenizer(text, return_tensors="pt")).last_hidden_state for text in texts(12, 2)]


def lost(got, want):
    return sum(((a - b) ** 2).sum() for a, b in zip(got, want)).item() / sum((b ** 2).sum() for b in want).item()


@pytest.fixture
def decoded(precis, tmp_path):
    def run(source, spec, *options, name="out"):
        out, numbers = tmp_path / name, tmp_path / f"{name}-decoded"
        precis("quantize", source, "-o", out, "--type", spec, "--progress", "none", *options)
        precis("verify", out)
        precis("dequantize", out, "-o", numbers, "--dtype", "f32", "--progress", "none")
        return out, load_file(numbers / "model.safetensors")

    return run


CASES = [("text_encoder_3", "tokenizer_3", "gptq:bits=4,group_size=32"),
         ("text_encoder_3", "tokenizer_3", "gptq:bits=3,group_size=32,desc_act=true"),
         ("text_encoder_3", "tokenizer_3", "gptq:bits=2,group_size=32,sym=false,checkpoint_format=gptq_v2"),
         ("text_encoder", "tokenizer", "gptq:bits=3,group_size=-1"),
         ("text_encoder_3", "tokenizer_3", "vptq:vector_len=4,num_centroids=64,num_res_centroids=32"),
         ("text_encoder_3", "tokenizer_3", "vptq:vector_len=8,num_centroids=128,num_res_centroids=-1"),
         ("text_encoder_3", "tokenizer_3", "aqlm:num_codebooks=2,nbits_per_codebook=6"),
         ("text_encoder", "tokenizer", "aqlm:num_codebooks=3,nbits_per_codebook=4,in_group_size=4,out_group_size=2"),
         ("text_encoder_3", "tokenizer_3", "awq:bits=4,group_size=32"),
         ("text_encoder", "tokenizer", "awq:bits=4,group_size=32")]


@pytest.mark.parametrize("component, tokens, spec", CASES)
def test_calibration_loses_less_than_rounding(pipelines, decoded, calibration, component, tokens, spec):
    from transformers import AutoTokenizer

    source = pipelines("sd3") / component
    tokenizer = AutoTokenizer.from_pretrained(pipelines("sd3") / tokens)
    network = transformers_network(source)
    want = states(network, tokenizer)
    _, calibrated = decoded(source, spec, "--calibration", calibration)
    _, rounded = decoded(source, spec.replace(",desc_act=true", ""), name="rounded")
    rounding = lost(states(network, tokenizer, rounded), want)
    assert lost(states(network, tokenizer, calibrated), want) < rounding


def test_columns_in_order_of_activation_have_their_groups(pipelines, decoded, calibration):
    out, _ = decoded(pipelines("sd3") / "text_encoder_3", "gptq:bits=4,group_size=32,desc_act=true", "--calibration", calibration)
    stored = load_file(out / "model.safetensors")
    groups = [value for name, value in stored.items() if name.endswith("g_idx")]
    assert groups and all((torch.bincount(group) == 32).all() for group in groups)
    assert any((group[1:] < group[:-1]).any() for group in groups)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_stopped_run_goes_on_behind_its_last_layer(precis, pipelines, calibration, tmp_path, end):
    def command(out):
        return [precis.path, "quantize", pipelines("sd3") / "text_encoder_3", "-o", out, "--type",
                "gptq:bits=4,group_size=32", "--calibration", calibration, "--progress", "plain"]

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole), check=True, capture_output=True)
    store = tmp_path / "killed.calibration"
    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(store.glob("*.safetensors"))) < 2:
        time.sleep(0.001)
    process.send_signal(end)
    assert process.wait() == (INTERRUPTED if end == signal.SIGINT else -end)
    assert not killed.exists() and store.exists()
    again = subprocess.run(command(killed), check=True, capture_output=True, text=True)
    assert "(done before)" in again.stderr
    assert not store.exists()
    assert load_file(killed / "model.safetensors").keys() == load_file(whole / "model.safetensors").keys()
    for name, value in load_file(whole / "model.safetensors").items():
        assert torch.equal(load_file(killed / "model.safetensors")[name], value), name


def test_an_importance_matrix_is_what_reaches_the_layers(precis, pipelines, calibration, tmp_path):
    import gguf

    source = pipelines("sd3") / "text_encoder_3"
    file = tmp_path / "imatrix.gguf"
    report = precis.json("calibrate", source, "--calibration", calibration, "--samples", "8", "-o", file)
    reader = gguf.GGUFReader(file)
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    network = transformers_network(source)
    layer = network.get_submodule("encoder.block.1.layer.0.SelfAttention.q")
    sums, rows = torch.zeros(layer.in_features, dtype=torch.float64), 0

    def add(_, inputs):
        nonlocal sums, rows
        x = inputs[0].flatten(0, -2).double()
        sums, rows = sums + (x ** 2).sum(0), rows + len(x)

    layer.register_forward_pre_hook(add)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(pipelines("sd3") / "tokenizer_3")
    with torch.inference_mode():
        for text in calibration.read_text().splitlines()[:8]:
            network(**tokenizer(text, return_tensors="pt"))
    name = "encoder.block.1.layer.0.SelfAttention.q.weight"
    assert rows == tensors[f"{name}.counts"].item() == report["tokens"]
    np.testing.assert_allclose(tensors[f"{name}.in_sum2"].flatten(), sums.numpy(), rtol=1e-3)
    precis("quantize", source, "-o", tmp_path / "out", "--type", "q4_0", "--imatrix", file, "--progress", "none")


@pytest.mark.parametrize("options, code, words", [
    (("--samples", "4"), BAD_USE, "--calibration"),
    (("--type", "gptq:bits=4,desc_act=true"), BAD_USE, "desc_act"),
    (("--type", "gptq:bits=4,group_size=32", "--calibration", "/none.txt"), UNREADABLE, "/none.txt")])
def test_what_is_missing_is_named(precis, pipelines, tmp_path, options, code, words):
    source = pipelines("sd3") / "text_encoder_3"
    result = precis("quantize", source, "-o", tmp_path / "out", *options, code=code)
    assert words in result.stderr


def test_what_cannot_be_calibrated_with_shows_before_the_network_is_loaded(precis, pipelines, calibration, tmp_path):
    source = pipelines("sd3") / "text_encoder"
    assert "nowhere" in precis("calibrate", source, "-o", tmp_path / "nowhere" / "imatrix.gguf", "--calibration", calibration, code=UNREADABLE).stderr
    (tmp_path / "texts").write_bytes(b"a text\nH\xf6he\n")
    assert "line 2 is not UTF-8" in precis("calibrate", source, "-o", tmp_path / "imatrix.gguf", "--calibration", tmp_path / "texts", code=BAD_USE).stderr


def test_only_text_networks_are_calibrated_with_texts(precis, pipelines, calibration, tmp_path):
    result = precis("quantize", pipelines("sd3") / "transformer", "-o", tmp_path / "out", "--type",
                    "gptq:bits=4,group_size=32", "--calibration", calibration, code=UNREADABLE)
    assert "does not read texts" in result.stderr


def test_nothing_of_the_users_lies_in_the_way_of_what_a_run_keeps(precis, pipelines, tmp_path, calibration):
    source, kept = pipelines("sd3") / "text_encoder_3", tmp_path / "out.calibration"
    command = ["quantize", source, "-o", tmp_path / "out", "--type", "gptq-4bit", "--progress", "none", "--calibration"]
    kept.write_text(calibration.read_text())
    assert "out.calibration" in precis(*command, kept, code=BAD_USE).stderr and kept.read_text() == calibration.read_text()
    kept.unlink()
    kept.mkdir()
    (kept / "mine.txt").write_text(calibration.read_text())
    assert "out.calibration" in precis(*command, kept / "mine.txt", code=BAD_USE).stderr and (kept / "mine.txt").exists()
    (kept / "mine.txt").unlink()
    (tmp_path / "elsewhere").mkdir()
    kept.rmdir()
    kept.symlink_to(tmp_path / "elsewhere")
    assert "out.calibration" in precis(*command, calibration, code=BAD_USE).stderr and (tmp_path / "elsewhere").exists()


def test_a_network_that_reads_no_texts_leaves_nothing_behind(precis, pipelines, tmp_path, calibration):
    source = pipelines("sd3") / "transformer"
    assert precis("quantize", source, "-o", tmp_path / "out", "--type", "gptq-4bit", "--calibration", calibration, code=UNREADABLE).stderr
    assert not (tmp_path / "out.calibration").exists() and not (tmp_path / "out").exists()

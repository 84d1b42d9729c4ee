"""Checkpoints of ternary weights that transformers packs: precis decodes them to what its layers multiply with, and packs
what its layers in training round to."""
import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.integrations import bitnet
from transformers.integrations.bitnet import pack_weights


@pytest.fixture(autouse=True)
def without_compiling():
    with torch.compiler.set_stance("force_eager"):
        yield


def checkpoint(directory, tensors, **config):
    directory.mkdir()
    save_file(tensors, directory / "model.safetensors")
    config = {"quant_method": "bitnet", **config}
    (directory / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
    return directory


@pytest.mark.parametrize("linear_class", ["bitlinear", "autobitlinear"])
def test_is_decoded_to_what_the_layer_multiplies_with(tmp_path, precis, linear_class):
    torch.manual_seed(3)
    ternary = torch.randint(-1, 2, (24, 40)).float()
    scale = torch.tensor([0.37])
    packed = pack_weights(ternary.clone())
    model = checkpoint(tmp_path / "model", {"a.weight": packed, "a.weight_scale": scale, "norm.weight": torch.ones(40)},
                       linear_class=linear_class)
    precis("dequantize", model, "-o", tmp_path / "out", "--dtype", "f32", "--progress", "none")
    decoded = load_file(tmp_path / "out" / "model.safetensors")
    want = ternary / scale if linear_class == "bitlinear" else ternary * scale
    assert torch.allclose(decoded["a.weight"], want, rtol=2**-23, atol=0)
    assert torch.equal(decoded["norm.weight"], torch.ones(40))


@pytest.mark.parametrize("changed, message", [
    ({"a.weight_scale": torch.ones(2)}, "weight_scale' has 2 elements"),
    ({"a.weight": torch.zeros(6, dtype=torch.uint8)}, "dimensions"),
    ({"a.weight": torch.zeros(6, 40, dtype=torch.int8)}, "wrong dtype"),
])
def test_damaged_checkpoints_are_refused(tmp_path, precis, changed, message):
    tensors = {"a.weight": torch.zeros(6, 40, dtype=torch.uint8), "a.weight_scale": torch.ones(1)} | changed
    model = checkpoint(tmp_path / "model", tensors)
    assert message in precis("dequantize", model, "-o", tmp_path / "out", code=2).stderr


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("linear_class", ["autobitlinear", "bitlinear"])
def test_is_rounded_as_the_layers_in_training_round(tmp_path, round_trip, dtype, linear_class):
    torch.manual_seed(7)
    tensors = {"a.weight": (torch.randn(64, 96) * 0.05).to(dtype), "b.weight": (torch.randn(28, 40) * 3).to(dtype),
               "c.weight": torch.zeros(4, 8, dtype=dtype)}
    model = tmp_path / "model"
    model.mkdir()
    save_file(tensors, model / "model.safetensors")
    (model / "config.json").write_text('{"model_type": "none"}')
    short = {torch.float32: "f32", torch.bfloat16: "bf16"}[dtype]
    out, decoded = round_trip(model, {"quant_method": "bitnet", "linear_class": linear_class}, dtype=short)
    stored = load_file(out / "model.safetensors")
    for name, weight in tensors.items():
        scale = 1.0 / weight.float().abs().mean().clamp_(min=1e-5)
        numbers = (weight.float() * scale).round().clamp(-1, 1)
        assert torch.equal(stored[name], pack_weights(numbers.clone())), name
        kept = 1.0 / scale if linear_class == "autobitlinear" else scale
        assert torch.allclose(stored[name + "_scale"], kept.to(dtype), rtol=2**-23, atol=0), name
        if linear_class == "autobitlinear":
            assert torch.allclose(decoded[name], bitnet.WeightQuant.apply(weight), rtol=2**-23, atol=0), name


def test_transformers_loads_what_precis_writes(tmp_path, precis):
    pytest.importorskip("accelerate")
    torch.manual_seed(5)
    config = transformers.LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=1,
                                      num_attention_heads=4, num_key_value_heads=2)
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path / "model")
    out = tmp_path / "out"
    precis("quantize", tmp_path / "model", "-o", out, "--type", "bitnet", "--progress", "none")
    precis("dequantize", out, "-o", tmp_path / "decoded", "--dtype", "bf16", "--progress", "none")
    model, report = transformers.LlamaForCausalLM.from_pretrained(out, dtype=torch.bfloat16, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    decoded = load_file(tmp_path / "decoded/model.safetensors")
    layers = {name: module for name, module in model.named_modules() if isinstance(module, bitnet.AutoBitLinear)}
    assert len(layers) == 7
    for name, layer in layers.items():
        assert torch.equal(layer.weight * layer.weight_scale, decoded[name + ".weight"]), name


def test_layers_that_round_as_they_run_are_not_written(tmp_path, precis):
    model = tmp_path / "model"
    model.mkdir()
    save_file({"a.weight": torch.randn(8, 8)}, model / "model.safetensors")
    (model / "config.json").write_text('{"model_type": "none"}')
    for key, value in {"quantization_mode": "online", "use_rms_norm": True}.items():
        config = {"quant_method": "bitnet", "linear_class": "autobitlinear", key: value}
        assert f"'{key}'" in precis("plan", model, "--type", json.dumps(config), code=1).stderr

"""HQQLinear of hqq loads what precis writes and gives the same values, and the reverse. transformers 5.23 has no loader
of HQQ checkpoints on a CPU, so hqq's own load_state_dict() stands for it."""
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

quantize = pytest.importorskip("hqq.core.quantize")

CONFIGS = {
    "4bit": {"nbits": 4},
    "8bit-axis0": {"nbits": 8, "axis": 0, "group_size": 32},
    "3bit": {"nbits": 3, "group_size": 40},
    "3bit-axis0": {"nbits": 3, "group_size": 64, "axis": 0},
    "2bit-float": {"nbits": 2, "group_size": 16, "view_as_float": True},
    "1bit": {"nbits": 1, "group_size": 32},
    "1.58bit": {"nbits": 1.58, "group_size": 64},
    "row": {"nbits": 4, "group_size": None},
}
SHAPES = {"a": (64, 160), "b": (32, 320), "c": (96, 640)}


def weights(dtype):
    torch.manual_seed(3)
    return {f"{name}.weight": (torch.randn(shape) * 0.05).to(dtype) for name, shape in SHAPES.items()}


def hqq_layer(tensors, dtype):
    layer = quantize.HQQLinear(None, None, compute_dtype=dtype, device="cpu", initialize=False)
    layer.load_state_dict({name: tensor.clone() for name, tensor in tensors.items()})
    return layer


def parts_of(stored, module):
    return {name.removeprefix(module + "."): tensor for name, tensor in stored.items() if name.startswith(module + ".")}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_hqq_decodes_what_precis_writes(tmp_path, round_trip, name, dtype):
    source = tmp_path / "model"
    source.mkdir()
    save_file(weights(dtype), source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))
    short = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}[dtype]
    out, decoded = round_trip(source, {"quant_method": "hqq", **CONFIGS[name]}, dtype=short)
    stored = load_file(out / "model.safetensors")
    for module in SHAPES:
        layer = hqq_layer(parts_of(stored, module), dtype)
        assert torch.equal(layer.dequantize(), decoded[module + ".weight"]), module
        x = torch.randn(3, SHAPES[module][1]).to(dtype)
        assert torch.equal(layer(x), torch.matmul(x, decoded[module + ".weight"].t()))


@pytest.mark.parametrize("name", CONFIGS)
def test_precis_decodes_what_hqq_writes(tmp_path, precis, name):
    source, decoded = tmp_path / "model", tmp_path / "decoded"
    source.mkdir()
    config = quantize.BaseQuantizeConfig(**CONFIGS[name])
    state, want = {}, {}
    for key, weight in weights(torch.bfloat16).items():
        module = key.removesuffix(".weight")
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=True, dtype=torch.bfloat16)
        linear.weight.data = weight
        layer = quantize.HQQLinear(linear, config, compute_dtype=torch.bfloat16, device="cpu")
        state.update({f"{module}.{part}": tensor.detach().clone().contiguous() for part, tensor in layer.state_dict().items()})
        want[key] = layer.dequantize()
    save_file(state, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": {
        "quant_method": "hqq", "quant_config": config, "skip_modules": ["lm_head"]}}))
    precis("dequantize", source, "-o", decoded, "--dtype", "bf16", "--progress", "none")
    got = load_file(decoded / "model.safetensors")
    for key, weight in want.items():
        assert torch.equal(got[key], weight), key


def test_the_fit_is_as_good_as_hqqs(tmp_path, round_trip):
    """Mean error of the result, of both; equal but for float32's order of sums."""
    source = tmp_path / "model"
    source.mkdir()
    save_file(weights(torch.float32), source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))
    for nbits in (4, 3, 2):
        _, decoded = round_trip(source, {"quant_method": "hqq", "nbits": nbits, "group_size": 64, "axis": 0}, dtype="f32")
        config = quantize.BaseQuantizeConfig(nbits=nbits, group_size=64, axis=0)
        for key, weight in weights(torch.float32).items():
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            linear.weight.data = weight.clone()
            layer = quantize.HQQLinear(linear, config, compute_dtype=torch.float32, device="cpu")
            ours, theirs = (float((weight - w).abs().mean()) for w in (decoded[key], layer.dequantize()))
            assert ours == pytest.approx(theirs, rel=1e-3), (nbits, key)


def test_quantized_scales_have_no_form_in_hqq(tmp_path, precis):
    """The library ignores the options where it quantizes a layer, and does not save a layer that has such scales: precis
    refuses them by name."""
    config = quantize.BaseQuantizeConfig(nbits=4, group_size=64, quant_scale=True, quant_zero=True)
    weight = torch.randn(128, 256) * 0.05
    linear = torch.nn.Linear(256, 128, bias=False)
    linear.weight.data = weight.clone()
    layer = quantize.HQQLinear(linear, config, compute_dtype=torch.float32, device="cpu")
    assert layer.quant_config["scale_quant_params"] is None and layer.meta["scale"].dtype == torch.float32
    params = {key: config[key] for key in ("weight_quant_params", "scale_quant_params", "zero_quant_params")}
    nested = quantize.HQQLinear(None, config, compute_dtype=torch.float32, device="cpu", initialize=False)
    nested.bias = None
    nested.quantize(weight, **params)
    assert nested.meta["scale_q"].dtype == nested.meta["zero_q"].dtype == torch.uint8
    with pytest.raises(Exception, match="Unsupported serialization"):
        nested.state_dict()
    source = tmp_path / "model"
    source.mkdir()
    save_file({"a.weight": weight}, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))
    wish = json.dumps({"quant_method": "hqq", "quant_config": config})
    message = precis("quantize", source, "-o", tmp_path / "out", "--type", wish, code=2).stderr
    assert "'scale_quant_params'" in message and "set it to null" in message

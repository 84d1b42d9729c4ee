"""The aqlm package decodes what precis writes to the same values, and its layer multiplies with it."""
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

inference = pytest.importorskip("aqlm.inference")
from aqlm.inference_kernels.dequantization import dequantize_gemm  # noqa: E402
from aqlm.utils import _dequantize_weight, unpack_int_data  # noqa: E402

CONFIGS = {
    "2x8": {"num_codebooks": 2, "nbits_per_codebook": 8},
    "1x10": {"num_codebooks": 1, "nbits_per_codebook": 10},
    "3x4-2x16": {"num_codebooks": 3, "nbits_per_codebook": 4, "out_group_size": 2, "in_group_size": 16},
}


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_aqlm_decodes_what_precis_writes(tmp_path, round_trip, name, dtype):
    source = tmp_path / "model"
    source.mkdir()
    torch.manual_seed(1)
    kind = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[dtype]
    tensors = {"a.weight": (torch.randn(48, 128) * 0.05).to(kind), "b.weight": (torch.randn(32, 64) * 0.05).to(kind),
               "ragged.weight": torch.randn(32, 50).to(kind)}
    save_file(tensors, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))
    out, decoded = round_trip(source, {"quant_method": "aqlm", **CONFIGS[name]}, dtype=dtype)
    stored = load_file(out / "model.safetensors")
    bits = CONFIGS[name]["nbits_per_codebook"]
    for module in "ab":
        codes, books, scales = (stored[f"{module}.{part}"] for part in ("codes", "codebooks", "scales"))
        rows, columns = tensors[module + ".weight"].shape
        layer = inference.QuantizedLinear(
            columns, rows, CONFIGS[name].get("in_group_size", 8), CONFIGS[name].get("out_group_size", 1),
            CONFIGS[name]["num_codebooks"], bits, bias=False, dtype=kind)
        layer.load_state_dict({"codes": codes, "codebooks": books, "scales": scales})
        assert torch.equal(_dequantize_weight(unpack_int_data(layer.codes, bits), layer.codebooks, layer.scales),
                           decoded[module + ".weight"])
        x = torch.randn(3, columns).to(kind)
        y = dequantize_gemm(x, layer.codes, layer.codebooks, layer.scales, None)
        assert torch.equal(y, torch.nn.functional.linear(x, decoded[module + ".weight"]))
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config["linear_weights_not_to_quantize"] == ["ragged", "ragged.weight"]
    assert torch.equal(stored["ragged.weight"], tensors["ragged.weight"])

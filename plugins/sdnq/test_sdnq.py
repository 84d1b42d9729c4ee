"""Whole checkpoints of recorded SDNQ weights."""
import json
import pathlib

import pytest
import torch
from safetensors import safe_open

GOLDEN = pathlib.Path(__file__).parent / "golden"
EXACT, NEAR = (sorted((GOLDEN / name).glob("*.safetensors")) for name in ("sdnq", "sdnq_near"))


def config_of(path):
    with safe_open(path, "pt") as file:
        return {"quant_method": "sdnq", **json.loads(file.metadata()["config"])["options"]}


@pytest.mark.parametrize("path", EXACT, ids=lambda path: path.stem)
def test_is_decoded_as_sdnq_decodes_it(recorded, path):
    decoded, want = recorded(path, config_of(path))
    assert set(decoded) == {"layer.weight"}
    assert torch.equal(decoded["layer.weight"], want)


@pytest.mark.parametrize("path", NEAR, ids=lambda path: path.stem)
def test_sums_are_those_of_sdnq_but_for_rounding(recorded, path):
    decoded, want = recorded(path, config_of(path))
    step = 2**-20 if want.dtype == torch.float32 else 2**-7
    assert torch.allclose(decoded["layer.weight"], want, rtol=0, atol=step * want.abs().max().item())


def test_the_dtype_of_a_module_may_be_its_own(recorded):
    path = next(path for path in EXACT if path.stem.startswith("uint4-8x96-f32"))
    for entry in ("layer", "layer.weight", ".lay", "l*r.weight"):
        decoded, want = recorded(path, {"quant_method": "sdnq", "modules_dtype_dict": {"uint4": [entry]}})
        assert torch.equal(decoded["layer.weight"], want)
    decoded, _ = recorded(path, {"quant_method": "sdnq", "modules_quant_config": {"layer": {"weights_dtype": "uint4"}}})
    assert torch.equal(decoded["layer.weight"], want)


def test_what_is_not_read_is_refused(recorded):
    path = next(path for path in EXACT if path.stem.startswith("int8-auto-8x96-f32"))
    transposed = {"weight": torch.zeros(96, 8, dtype=torch.int8), "scale": torch.ones(1, 8)}
    message = recorded(path, {"quant_method": "sdnq", "use_quantized_matmul": True}, code=2, **transposed)
    assert "stored transposed" in message
    assert "1 to 8 bits" in recorded(path, {"quant_method": "sdnq", "weights_dtype": "int16"}, code=2)
    assert "zero_point' is missing" in recorded(path, {"quant_method": "sdnq", "weights_dtype": "uint8"}, code=2)
    low_rank = NEAR[-1]
    assert "one is missing" in recorded(low_rank, config_of(low_rank), code=2, svd_down=None)
    assert "different ranks" in recorded(low_rank, config_of(low_rank), code=2, svd_down=torch.zeros(7, 96))
    both = {"quant_method": "sdnq", "modules_dtype_dict": {"int4": ["layer"], "int8": ["layer"]}}
    assert "several dtypes" in recorded(path, both, code=2)

"""Whole checkpoints of recorded FP-Quant weights."""
import json
import pathlib

import pytest
import torch
from safetensors import safe_open

FILES = sorted(pathlib.Path(__file__).parent.glob("golden/fp_quant/*.safetensors"))


def config_of(path):
    with safe_open(path, "pt") as file:
        options = json.loads(file.metadata()["config"])
    return {"quant_method": "fp_quant", **{key: value for key, value in options.items() if key not in ("shape", "weight_dtype")}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_decoded_to_what_the_layer_multiplies_with(recorded, path):
    decoded, want = recorded(path, config_of(path), act_global_scale=torch.ones(1))
    assert set(decoded) == {"layer.weight"}
    assert torch.equal(decoded["layer.weight"], want)


@pytest.mark.parametrize("changed, message", [
    ({"scales": torch.zeros(11, 16, dtype=torch.uint8)}, "smaller than the weight's shape needs"),
    ({"forward_hadamard_matrix": torch.zeros(8, 8)}, "forward_hadamard_matrix' has 64 elements"),
    ({"weight_global_scale": None}, "weight_global_scale' is missing"),
])
def test_damaged_checkpoints_are_refused(recorded, changed, message):
    path = next(path for path in FILES if path.stem.startswith("nvfp4-16-12"))
    assert message in recorded(path, config_of(path), code=2, **changed)


def test_scales_may_be_filled_up_to_whole_tiles(recorded):
    path = next(path for path in FILES if path.stem.startswith("nvfp4-16-12"))
    with safe_open(path, "pt") as file:
        scales = file.get_tensor("expected.scales")
    filled = torch.full((128, 20), 0x7E, dtype=torch.uint8)
    filled[:scales.shape[0], :scales.shape[1]] = scales
    decoded, want = recorded(path, config_of(path), scales=filled)
    assert torch.equal(decoded["layer.weight"], want)

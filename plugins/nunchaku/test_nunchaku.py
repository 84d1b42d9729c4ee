"""Whole checkpoints of recorded Nunchaku Lite weights."""
import json
import pathlib

import pytest
import torch
from safetensors import safe_open

FILES = sorted(pathlib.Path(__file__).parent.glob("golden/nunchaku/*.safetensors"))


def config_of(path, target="layer"):
    with safe_open(path, "pt") as file:
        options = json.loads(file.metadata()["config"])
    if options["precision"] is None:
        return {"quant_method": "nunchaku_lite", "awq_w4a16": {"precision": "int4", "group_size": 64, "targets": [target]}}
    section = {"precision": options["precision"], "group_size": {"int4": 64, "nvfp4": 16}[options["precision"]],
               "rank": options["rank"], "targets": [target]}
    return {"quant_method": "nunchaku_lite", "compute_dtype": "bfloat16", "svdq_w4a4": section}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_decoded_to_what_the_kernels_multiply_with(recorded, path):
    decoded, want = recorded(path, config_of(path))
    assert set(decoded) == {"layer.weight"}
    assert torch.equal(decoded["layer.weight"], want)


def test_groups_of_awq_may_be_filled_up(recorded):
    path = next(path for path in FILES if path.stem.startswith("awq"))
    with safe_open(path, "pt") as file:
        filled = {name: torch.nn.functional.pad(file.get_tensor("expected." + name), (0, 0, 0, 13))
                  for name in ("wscales", "wzeros")}
    decoded, want = recorded(path, config_of(path), **filled)
    assert torch.equal(decoded["layer.weight"], want)


def test_damaged_checkpoints_are_refused(recorded):
    path = next(path for path in FILES if path.stem.startswith("svdq-nvfp4"))
    assert "wtscale' is missing" in recorded(path, config_of(path), code=2, wtscale=None)
    assert "proj_up' has 16 elements" in recorded(path, config_of(path), code=2, proj_up=torch.zeros(16).bfloat16())
    assert "no target" in recorded(path, config_of(path, target="other"), code=2)

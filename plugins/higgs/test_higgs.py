"""Whole checkpoints of recorded HIGGS weights."""
import json
import pathlib

import pytest
import torch
from safetensors import safe_open

FILES = sorted(pathlib.Path(__file__).parent.glob("golden/higgs/*.safetensors"))


def config_of(path, **changed):
    with safe_open(path, "pt") as file:
        options = json.loads(file.metadata()["config"])
    tuned = {"layer": {"template_id": options["template_id"]}}
    return {"quant_method": "higgs", "tune_metadata": tuned,
            **{key: options[key] for key in ("bits", "p", "group_size", "hadamard_size")}, **changed}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_decoded_to_what_the_kernels_multiply_with(recorded, path):
    decoded, want = recorded(path, config_of(path))
    assert set(decoded) == {"layer.weight"}
    assert torch.equal(decoded["layer.weight"], want)


def test_what_does_not_fit_is_refused(recorded):
    assert "no template_id of 'layer'" in recorded(FILES[0], config_of(FILES[0], tune_metadata={}), code=2)
    unknown = {"layer": {"template_id": 36}}
    assert "template 36" in recorded(FILES[0], config_of(FILES[0], tune_metadata=unknown), code=2)
    short = torch.zeros(4, 4, 1, dtype=torch.float16)
    assert "tables2' has 16 elements" in recorded(FILES[0], config_of(FILES[0]), code=2, tables2=short)
    assert "scales' is missing" in recorded(FILES[0], config_of(FILES[0]), code=2, scales=None)

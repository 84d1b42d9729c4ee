"""Whole checkpoints of recorded SpQR weights."""
import pathlib

import pytest
import torch

FILES = sorted(pathlib.Path(__file__).parent.glob("golden/spqr/*.safetensors"))
CONFIG = {"quant_method": "spqr", "bits": 3, "beta1": 16, "beta2": 16, "shapes": {}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_decoded_as_spqr_quant_decodes_it(recorded, path):
    decoded, want = recorded(path, CONFIG)
    assert set(decoded) == {"layer.weight"}
    assert torch.equal(decoded["layer.weight"], want)


@pytest.mark.parametrize("changed, message", [
    ({"dense_weights": torch.zeros(100, dtype=torch.int64)}, "whole rows"),
    ({"row_offsets": torch.zeros(33, dtype=torch.int64)}, "row_offsets' has the wrong dtype"),
    ({"col_vals": None}, "col_vals' is missing"),
])
def test_damaged_checkpoints_are_refused(recorded, changed, message):
    assert message in recorded(FILES[0], CONFIG, code=2, **changed)

"""Checkpoints of ternary weights that transformers packs: precis decodes them to what its layers multiply with."""
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.integrations.bitnet import pack_weights


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

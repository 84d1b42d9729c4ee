"""Every command of precis reads what the eetq plugin writes; a layer in other multiples than 64 stays a float and is
listed. transformers loads EETQ on GPUs only."""
import json

import torch
from safetensors.torch import load_file, save_file


def test_a_checkpoint_round_trip(tmp_path, round_trip):
    torch.manual_seed(5)
    source = tmp_path / "model"
    source.mkdir()
    tensors = {"fits.weight": torch.randn(64, 128) * 0.05, "ragged.weight": torch.randn(64, 96) * 0.05}
    save_file(tensors, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))
    out, decoded = round_trip(source, {"quant_method": "eetq"}, dtype="f32")
    stored = load_file(out / "model.safetensors")
    assert stored["fits.weight"].dtype == torch.int8 and list(stored["fits.weight"].shape) == [128, 64]
    assert torch.equal(stored["ragged.weight"], tensors["ragged.weight"])
    # A whole step for the largest value, which 127 stands for, and float16's rounding of the product.
    step = tensors["fits.weight"].abs().amax(1, keepdim=True) / 128
    assert ((decoded["fits.weight"] - tensors["fits.weight"]).abs() <= step * 1.1).all()
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config == {"quant_method": "eetq", "weights": "int8", "modules_to_not_convert": ["ragged"]}

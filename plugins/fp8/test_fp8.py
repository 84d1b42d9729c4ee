"""What the fp8 plugin writes loads in transformers to the same values. On a CPU transformers decodes fp8 while loading."""
import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers.integrations import fbgemm_fp8
from transformers.quantizers.quantizer_fbgemm_fp8 import FbgemmFp8HfQuantizer

CONFIGS = {
    "tiles": {"quant_method": "fp8", "weight_block_size": [16, 32]},
    "ue8m0": {"quant_method": "fp8", "weight_block_size": [16, 32], "scale_fmt": "ue8m0"},
    "mxfp8": {"quant_method": "mxfp8", "weight_block_size": [1, 32], "scale_fmt": "ue8m0"},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_transformers_decodes_fp8_to_the_same_values(pipelines, round_trip, name):
    out, want = round_trip(pipelines("sd3") / "text_encoder_3", CONFIGS[name])
    model = transformers.T5EncoderModel.from_pretrained(out, dtype=torch.bfloat16)
    weights = [key.removesuffix("_scale_inv") for key in load_file(out / "model.safetensors")
               if key.endswith("weight_scale_inv")]
    assert weights
    state = model.state_dict()
    for weight in weights:
        assert state[weight].dtype == torch.bfloat16
        assert torch.equal(state[weight], want[weight]), weight


def test_transformers_loads_fbgemm_fp8(pipelines, round_trip, monkeypatch):
    # The library wants a GPU and FBGEMM for its product; its loading code itself needs neither.
    monkeypatch.setattr(fbgemm_fp8, "get_quantize_fp8_per_row", lambda: None)
    monkeypatch.setattr(FbgemmFp8HfQuantizer, "validate_environment", lambda self, *args, **kwargs: None)
    out, want = round_trip(pipelines("sd3") / "text_encoder_3", {"quant_method": "fbgemm_fp8"})
    model = transformers.T5EncoderModel.from_pretrained(out, dtype=torch.bfloat16)
    layers = {name: m for name, m in model.named_modules() if isinstance(m, fbgemm_fp8.FbgemmFp8Linear)}
    assert layers
    for name, layer in layers.items():
        decoded = (layer.weight.float() * layer.weight_scale).to(torch.bfloat16)
        assert torch.equal(decoded, want[name + ".weight"]), name

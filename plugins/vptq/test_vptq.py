"""vptq's layer (0.0.5, on a CPU) loads what precis writes, and computes with the values that precis decodes."""
import json
import sys
import types

import pytest
import torch
from safetensors.torch import load_file, save_file

# Imported by the package for the type of an argument alone, and too large to install for that.
for name in ("sentence_transformers", "sentence_transformers.SentenceTransformer"):
    sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules[name].SentenceTransformer = object
layers = pytest.importorskip("vptq.layers.vqlinear")

CONFIGS = {"residual": {"num_centroids": 64, "num_res_centroids": 32},
           "one codebook": {"vector_len": 6, "num_centroids": 128, "num_res_centroids": -1}}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", CONFIGS)
def test_vptq_computes_with_what_precis_writes(tmp_path, round_trip, name, dtype):
    source = tmp_path / "model"
    source.mkdir()
    torch.manual_seed(1)
    tensors = {"a.weight": (torch.randn(50, 96) * 0.05).to(dtype), "b.c.weight": (torch.randn(32, 300) * 0.05).to(dtype),
               "norm.weight": torch.ones(96).to(dtype)}
    save_file(tensors, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))
    short = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}[dtype]
    out, decoded = round_trip(source, {"quant_method": "vptq", **CONFIGS[name]}, dtype=short)
    stored = load_file(out / "model.safetensors")
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert set(config["config_for_layers"]) == {"a", "b.c"}
    for module, entry in config["config_for_layers"].items():
        layer = layers.VQuantLinear(**entry, bias=False, dtype=dtype, enable_proxy_error=False)
        prefix = module + "."
        layer.load_state_dict({key[len(prefix):]: value for key, value in stored.items() if key.startswith(prefix)})
        weight = decoded[prefix + "weight"]
        with torch.no_grad():
            assert torch.equal(layer(torch.eye(entry["in_features"], dtype=dtype)).T, weight)
            x = torch.randn(3, entry["in_features"]).to(dtype)
            assert torch.equal(layer(x), torch.nn.functional.linear(x, weight))
    assert torch.equal(stored["norm.weight"], tensors["norm.weight"])

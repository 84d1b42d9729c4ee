"""GPTQ checkpoints written by precis: every command reads them, and GPTQModel's own layer decodes them to the same
values (its pure-Python part; where it is not installed, the recorded outputs of gptq_test.cpp stand for it)."""
import json

import pytest
import torch
from safetensors.torch import load_file

CONFIGS = {
    "4bit": {"quant_method": "gptq", "bits": 4, "group_size": 32},
    "3bit": {"quant_method": "gptq", "bits": 3, "group_size": 64},
    "8bit-row": {"quant_method": "gptq", "bits": 8, "group_size": -1},
    "2bit-asym-v2": {"quant_method": "gptq", "bits": 2, "group_size": 32, "sym": False, "checkpoint_format": "gptq_v2"},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_written_checkpoint_is_complete(pipelines, round_trip, name):
    out, decoded = round_trip(pipelines("sd3") / "text_encoder_3", CONFIGS[name], dtype="f16")
    stored = load_file(out / "model.safetensors")
    modules = [key.removesuffix(".qweight") for key in stored if key.endswith(".qweight")]
    assert modules
    for module in modules:
        assert {"qzeros", "scales", "g_idx"} <= {key.rpartition(".")[2] for key in stored if key.startswith(module + ".")}
        assert decoded[module + ".weight"].dtype == torch.float16
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config == json.loads((out / "quantize_config.json").read_text())
    assert config["bits"] == CONFIGS[name]["bits"]


@pytest.mark.parametrize("name", CONFIGS)
def test_gptqmodel_decodes_to_the_same_values(pipelines, round_trip, name):
    torch_layer = pytest.importorskip("gptqmodel.nn_modules.qlinear.torch")
    from gptqmodel.quantization import FORMAT
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module

    config = CONFIGS[name]
    out, decoded = round_trip(pipelines("sd3") / "text_encoder_3", config, dtype="f16")
    stored = load_file(out / "model.safetensors")
    for module in [key.removesuffix(".qweight") for key in stored if key.endswith(".qweight")]:
        tensors = {part: stored[f"{module}.{part}"] for part in ("qweight", "qzeros", "scales", "g_idx")}
        version = config.get("checkpoint_format", "gptq")
        layer = torch_layer.TorchLinear(
            bits=config["bits"], group_size=config["group_size"], sym=config.get("sym", True), desc_act=False,
            in_features=tensors["g_idx"].numel(), out_features=tensors["scales"].shape[1], bias=False,
            register_buffers=True, format=FORMAT(version))
        layer.load_state_dict(tensors, strict=False)
        if version == "gptq":
            with torch.inference_mode():
                convert_gptq_v1_to_v2_format_module(layer, bits=config["bits"], pack_dtype=torch.int32)
        layer.train(False)
        with torch.inference_mode():
            assert torch.equal(layer.dequantize_weight().T, decoded[module + ".weight"]), module

"""Weights whose model multiplies its activations by pre_quant_scale (AWQ, SmoothQuant) are decoded to what a model without
it would multiply with."""
import copy
import json
import pathlib

import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

RECORDED = sorted(pathlib.Path(__file__).parent.glob("golden/*/*.safetensors"))


def decode(precis, model, out):
    precis("dequantize", model, "-o", out, "--dtype", "f32", "--progress", "none")
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_is_what_the_layer_multiplies_its_inputs_with(tmp_path, precis, path):
    with safe_open(path, "pt") as file:
        algorithm = json.loads(file.metadata()["config"])["quant_algo"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    model = tmp_path / "model"
    model.mkdir()
    save_file({"a." + name.removeprefix("expected."): value for name, value in tensors.items() if name.startswith("expected.")},
              model / "model.safetensors")
    (model / "config.json").write_text(json.dumps(
        {"model_type": "none", "quantization_config": {"quant_method": "modelopt", "quant_algo": algorithm}}))
    decoded = decode(precis, model, tmp_path / "out")
    assert set(decoded) == {"a.weight"}
    # ModelOpt's quantizers divide by reciprocals of the scales that it stores.
    torch.testing.assert_close(decoded["a.weight"], tensors["used.weight"], rtol=4e-7, atol=0)


@pytest.mark.parametrize("name, algorithm", [("INT4_AWQ_CFG", "W4A16_AWQ"), ("W4A8_AWQ_BETA_CFG", "W4A8_AWQ")])
def test_the_layers_of_an_exported_model(tmp_path, precis, name, algorithm):
    """The exporter folds the scales into what stands before a layer where it can, and rounds such weights anew."""
    mtq = pytest.importorskip("modelopt.torch.quantization")
    export = pytest.importorskip("modelopt.torch.export")
    torch.manual_seed(3)
    config = transformers.LlamaConfig(vocab_size=64, hidden_size=256, intermediate_size=384, num_hidden_layers=2,
                                      num_attention_heads=4, num_key_value_heads=4, architectures=["LlamaForCausalLM"])
    model, tokens = transformers.LlamaForCausalLM(config).eval(), torch.randint(0, 64, (4, 24))
    made = mtq.quantize(copy.deepcopy(model), copy.deepcopy(getattr(mtq, name)), forward_loop=lambda each: each(tokens))
    with torch.inference_mode():
        used = {path: layer.weight_quantizer(layer.weight) * layer.input_quantizer.pre_quant_scale
                for path, layer in made.named_modules() if path.endswith(("o_proj", "down_proj"))}
    export.export_hf_checkpoint(made, torch.float32, tmp_path / "theirs")
    exported = json.loads((tmp_path / "theirs" / "config.json").read_text())["quantization_config"]
    stored = load_file(tmp_path / "theirs" / "model.safetensors")
    assert exported["quant_algo"] == algorithm
    assert {key.removesuffix(".pre_quant_scale") for key in stored if key.endswith("pre_quant_scale")} == used.keys()
    decoded = decode(precis, tmp_path / "theirs", tmp_path / "out")
    for path, want in used.items():
        torch.testing.assert_close(decoded[path + ".weight"], want, rtol=4e-7, atol=0)
    model.load_state_dict(decoded)

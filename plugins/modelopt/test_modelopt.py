"""precis writes the bytes and the config that ModelOpt's Hugging Face export writes, and decodes what ModelOpt's own tensor
classes make to the values that these classes decode it to."""
import copy
import json
import subprocess

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

# Where ModelOpt is not installed, the recorded outputs of modelopt_test.cpp stand for it.
qtensor = pytest.importorskip("modelopt.torch.quantization.qtensor")
nvfp4_tensor = pytest.importorskip("modelopt.torch.quantization.qtensor.nvfp4_tensor")


@pytest.fixture(autouse=True, scope="module")
def without_gpu():
    """The library asks a GPU whether it has a kernel of its own for NVFP4, before it takes the plain one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nvfp4_tensor, "fp4_compatible", lambda: False, raising=False)
        yield


def nvfp4(weight):
    packed, scale, scale_2 = qtensor.NVFP4QTensor.quantize(weight, 16)
    tensors = {"weight": packed._quantized_data, "weight_scale": scale, "weight_scale_2": scale_2.reshape(())}
    return tensors, packed.dequantize(torch.float32, scale=scale, double_scale=scale_2, block_sizes={-1: 16})


def fp8(weight):
    scale = weight.abs().amax().float() / 448
    packed, scale = qtensor.FP8QTensor.quantize(weight, scale)
    return {"weight": packed._quantized_data, "weight_scale": scale}, packed.dequantize(torch.float32, scale=scale)


def fp8_rows(weight):
    scale = weight.abs().amax(1, keepdim=True).float() / 448
    packed, scale = qtensor.FP8QTensor.quantize(weight, scale)
    return ({"weight": packed._quantized_data, "weight_scale": scale.squeeze(1)},
            packed.dequantize(torch.float32, scale=scale))


FORMS = {"NVFP4": nvfp4, "FP8": fp8, "FP8_PER_CHANNEL_PER_TOKEN": fp8_rows}


def checkpoint(directory, modules, config):
    directory.mkdir()
    save_file({f"{name}.{key}": value.contiguous() for name, tensors in modules.items() for key, value in tensors.items()},
              directory / "model.safetensors")
    config = {"quant_method": "modelopt", "producer": {"name": "modelopt"}, **config}
    (directory / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
    return directory


def decode(precis, model, out):
    precis("dequantize", model, "-o", out, "--dtype", "f32", "--progress", "none")
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_is_decoded_as_modelopt_decodes_it(tmp_path, precis, name, dtype):
    torch.manual_seed(7)
    tensors, want = FORMS[name]((torch.randn(24, 160) * 0.05).to(dtype))
    tensors["input_scale"] = torch.tensor(0.5)
    model = checkpoint(tmp_path / "model", {"a.b": tensors}, {"quant_algo": name, "ignore": ["lm_head"]})
    decoded = decode(precis, model, tmp_path / "out")
    assert set(decoded) == {"a.b.weight"}
    assert torch.equal(decoded["a.b.weight"], want)


def test_each_module_has_its_own_algorithm(tmp_path, precis):
    torch.manual_seed(8)
    made = {name: FORMS[name](torch.randn(16, 64)) for name in FORMS}
    model = checkpoint(tmp_path / "model", {name.lower(): tensors for name, (tensors, _) in made.items()},
                       {"quant_algo": "MIXED_PRECISION",
                        "quantized_layers": {name.lower(): {"quant_algo": name} for name in FORMS}})
    decoded = decode(precis, model, tmp_path / "out")
    for name, (_, want) in made.items():
        assert torch.equal(decoded[name.lower() + ".weight"], want), name


# quant_algo -> ModelOpt's own config of it.
EXPORTED = {"FP8": "FP8_DEFAULT_CFG", "FP8_PER_CHANNEL_PER_TOKEN": "FP8_PER_CHANNEL_PER_TOKEN_CFG",
            "fp8_pb_wo": "FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG", "MXFP8": "MXFP8_DEFAULT_CFG", "W8A16": "INT8_WEIGHT_ONLY_CFG",
            "W4A16_AWQ": "INT4_BLOCKWISE_WEIGHT_ONLY_CFG", "NVFP4": "NVFP4_DEFAULT_CFG", "W4A16_NVFP4": "W4A16_NVFP4_CFG",
            "W4A8_NVFP4_FP8": "W4A8_NVFP4_FP8_CFG", "mxfp4": "MXFP4_DEFAULT_CFG", "W4A8_MXFP4_FP8": "W4A8_MXFP4_FP8_CFG"}


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A small model in bfloat16, and its directory. Projections that ModelOpt fuses have one largest number: its exporter
    gives them a common scale, precis each its own."""
    torch.manual_seed(9)
    config = transformers.LlamaConfig(vocab_size=64, hidden_size=256, intermediate_size=384, num_hidden_layers=1,
                                      num_attention_heads=4, num_key_value_heads=2, architectures=["LlamaForCausalLM"])
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    for name, parameter in model.named_parameters():
        if any(part in name for part in ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")):
            parameter.data[0, 0] = 0.5
    out = tmp_path_factory.mktemp("llama")
    model.save_pretrained(out)
    return model, out


@pytest.mark.parametrize("name", EXPORTED)
def test_writes_what_modelopt_exports(tmp_path, llama, round_trip, name):
    mtq = pytest.importorskip("modelopt.torch.quantization")
    export = pytest.importorskip("modelopt.torch.export")
    model, source = llama
    made = mtq.quantize(copy.deepcopy(model), copy.deepcopy(getattr(mtq, EXPORTED[name])), forward_loop=None)
    export.export_hf_checkpoint(made, torch.bfloat16, tmp_path / "theirs")
    out, _ = round_trip(source, {"quant_method": "modelopt", "quant_algo": name})
    ours, theirs = (load_file(directory / "model.safetensors") for directory in (out, tmp_path / "theirs"))
    assert ours.keys() == theirs.keys()
    for key, want in theirs.items():
        assert ours[key].dtype == want.dtype and ours[key].shape == want.shape, key
        assert torch.equal(ours[key].reshape(-1).view(torch.uint8), want.reshape(-1).view(torch.uint8)), key
    ours, theirs = (json.loads((directory / "config.json").read_text())["quantization_config"]
                    for directory in (out, tmp_path / "theirs"))
    assert set(ours.pop("ignore")) | {"model.embed_tokens"} == set(theirs.pop("ignore"))
    assert ours["producer"]["name"] == theirs["producer"]["name"]
    assert ours | {"producer": None} == theirs | {"producer": None}


@pytest.mark.parametrize("algorithm, message", [("NVFP4_AWQ", "only a calibration finds"), ("INT4", "are read, others are not")])
def test_what_needs_activations_is_not_written(tmp_path, precis, llama, algorithm, message):
    config = json.dumps({"quant_method": "modelopt", "quant_algo": algorithm})
    result = subprocess.run([precis.path, "quantize", llama[1], "-o", tmp_path / "out", "--type", config],
                            capture_output=True, text=True)
    assert result.returncode > 0 and message in result.stderr, result.stderr


DAMAGED = {
    "few-scales": ("NVFP4", {"weight_scale": torch.zeros(16, 3).to(torch.float8_e4m3fn)}, "weight_scale' has 48 elements"),
    "no-scale-of-scales": ("NVFP4", {"weight_scale_2": None}, "weight_scale_2' is missing"),
    "scales-of-other-columns": ("FP8", {"pre_quant_scale": torch.ones(32)}, "each of the 64 columns"),
    "order-of-a-kernel": ("NVFP4", {"weight_scale": torch.zeros(64, dtype=torch.uint8)}, "TensorRT-LLM"),
    "codes-of-one-dimension": ("FP8", {"weight": torch.zeros(64).to(torch.float8_e4m3fn)}, "dimensions"),
    "another-algorithm": ("NVFP4_SVD", {}, "are read, others are not"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_checkpoints_are_refused(tmp_path, precis, name):
    algorithm, changed, message = DAMAGED[name]
    tensors, _ = FORMS.get(algorithm, fp8)(torch.randn(16, 64))
    tensors = {key: value for key, value in (tensors | changed).items() if value is not None}
    model = checkpoint(tmp_path / "model", {"a": tensors}, {"quant_algo": algorithm})
    result = subprocess.run([precis.path, "dequantize", model, "-o", tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode > 0 and message in result.stderr, result.stderr


def test_weights_of_diffusers_need_a_pickle(tmp_path, precis):
    model = checkpoint(tmp_path / "model", {"a": {"weight": torch.zeros(4, 4).to(torch.float8_e4m3fn)}}, {"quant_type": "FP8"})
    result = subprocess.run([precis.path, "dequantize", model, "-o", tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode > 0 and "modelopt_state.pth" in result.stderr, result.stderr

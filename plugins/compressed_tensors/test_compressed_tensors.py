"""What precis writes loads in transformers with compressed-tensors and decompresses to the same values; what the library
compresses precis decodes to what the library itself decodes it to."""
import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

compressed_tensors = pytest.importorskip("compressed_tensors")
from compressed_tensors.compressors.base import compress_module, decompress_module  # noqa: E402
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme  # noqa: E402
from compressed_tensors.quantization import initialize_module_for_quantization  # noqa: E402
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam  # noqa: E402


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A directory with a small model in bfloat16."""
    torch.manual_seed(9)
    config = transformers.LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=160, num_hidden_layers=2,
                                      num_attention_heads=4, num_key_value_heads=2)
    out = tmp_path_factory.mktemp("llama")
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(out)
    return out


SCHEMES = {
    "int4-group": {"weights": {"num_bits": 4, "strategy": "group", "group_size": 16}},
    "int4-asym": {"weights": {"num_bits": 4, "strategy": "group", "group_size": 32, "symmetric": False}},
    "int3-channel": {"weights": {"num_bits": 3, "strategy": "channel", "symmetric": False}},
    "int8-tensor": {"weights": {"num_bits": 8, "strategy": "tensor"}},
    "w8a8": {"weights": {"num_bits": 8, "strategy": "channel"},
             "input_activations": {"num_bits": 8, "strategy": "token", "dynamic": True}},
    "fp8": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"},
            "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}},
    "fp8-block": {"weights": {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [24, 40]}},
    "nvfp4": {"weights": {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16,
                          "scale_dtype": "torch.float8_e4m3fn"}},
    "mxfp4": {"weights": {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32,
                          "scale_dtype": "torch.uint8"}},
    "mxfp6": {"weights": {"num_bits": 6, "type": "float", "strategy": "group", "group_size": 32,
                          "scale_dtype": "torch.uint8"}},
    "mxfp8": {"weights": {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32,
                          "scale_dtype": "torch.uint8"}},
}


def config_of(scheme, targets=("Linear",)):
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": list(targets), **scheme}}}


def scheme_of(scheme):
    return QuantizationScheme(targets=["Linear"], **{key: QuantizationArgs(**value) for key, value in scheme.items()})


def check_that_transformers_decodes(out, want):
    # A weight that is not found would be a new, random one.
    model, report = transformers.LlamaForCausalLM.from_pretrained(out, dtype=torch.bfloat16, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    quantized = [name for name, module in model.named_modules() if hasattr(module, "quantization_scheme")]
    assert quantized
    with torch.inference_mode():
        model(torch.tensor([[1, 5, 9, 1]]))  # decompresses
    state = model.state_dict()
    for name in quantized:
        assert torch.equal(state[name + ".weight"], want[name + ".weight"]), name


# Version 0.20 expects zero points of packed weights unpacked when it loads a model, its own ones too.
LOADED = [name for name, scheme in SCHEMES.items() if scheme["weights"].get("symmetric", True)]


@pytest.mark.parametrize("name", LOADED)
def test_transformers_decompresses_to_the_same_values(llama, round_trip, name):
    out, want = round_trip(llama, config_of(SCHEMES[name]))
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config["quantization_status"] == "compressed"
    check_that_transformers_decodes(out, want)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_library_decompresses_each_module_to_the_same_values(llama, round_trip, name):
    out, want = round_trip(llama, config_of(SCHEMES[name]))
    stored = load_file(out / "model.safetensors")
    modules = [key.removesuffix(".weight_scale") for key in stored if key.endswith(".weight_scale")]
    assert modules
    for name_of_module in modules:
        rows, columns = want[name_of_module + ".weight"].shape
        module = torch.nn.Linear(columns, rows, bias=False, dtype=torch.bfloat16)
        initialize_module_for_quantization(module, scheme_of(SCHEMES[name]))
        for parameter in list(dict(module.named_parameters())):
            delattr(module, parameter)
        for key, value in stored.items():
            if key.rpartition(".")[0] == name_of_module:
                module.register_parameter(key.rpartition(".")[2], torch.nn.Parameter(value, requires_grad=False))
        decompress_module(module)
        assert torch.equal(module.weight, want[name_of_module + ".weight"]), name_of_module


def test_groups_patterns_and_lists(llama, round_trip):
    config = {"quant_method": "compressed-tensors", "ignore": ["re:.*layers.0.self_attn.[qk]_proj$"],
              "config_groups": {
                  "attention": {"targets": ["re:.*self_attn.*"], **SCHEMES["fp8"]},
                  "rest": {"targets": ["Linear"], **SCHEMES["int4-group"]}}}
    out, want = round_trip(llama, config)
    stored = load_file(out / "model.safetensors")
    assert stored["model.layers.0.self_attn.q_proj.weight"].dtype == torch.bfloat16
    assert stored["model.layers.0.self_attn.v_proj.weight"].dtype == torch.float8_e4m3fn
    assert stored["model.layers.0.mlp.up_proj.weight_packed"].dtype == torch.int32
    written = json.loads((out / "config.json").read_text())["quantization_config"]
    assert written["format"] == "mixed-precision"
    check_that_transformers_decodes(out, want)


def compressed_by_the_library(scheme, weight):
    """The module's tensors, and the weight decompressed from them."""
    module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
    module.weight.data.copy_(weight)
    made = scheme_of(scheme)
    initialize_module_for_quantization(module, made)
    args = made.weights
    if args.strategy in ("group", "tensor_group"):
        low, high = weight.unflatten(1, (-1, args.group_size)).aminmax(dim=-1)
    elif args.strategy == "channel":
        low, high = weight.aminmax(dim=1, keepdim=True)
    elif args.strategy == "block":
        rows, columns = args.block_structure
        padded = torch.nn.functional.pad(weight, (0, -weight.shape[1] % columns, 0, -weight.shape[0] % rows))
        tiles = padded.unflatten(1, (-1, columns)).unflatten(0, (-1, rows))
        low, high = tiles.amin((1, 3)), tiles.amax((1, 3))
    else:
        low, high = weight.min().reshape(1), weight.max().reshape(1)
    whole = None
    if hasattr(module, "weight_global_scale"):
        whole = generate_gparam(weight.min(), weight.max())
        module.weight_global_scale.data.copy_(whole)
    scale, zero = calculate_qparams(low, high, args, global_scale=whole)
    module.weight_scale.data.copy_(scale)
    if hasattr(module, "weight_zero_point"):
        module.weight_zero_point.data.copy_(zero)
    compress_module(module)
    stored = {key: value.clone() for key, value in module.state_dict().items()}
    decompress_module(module)
    return stored, module.weight.detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", SCHEMES)
def test_precis_decodes_what_the_library_compresses(tmp_path, precis, name, dtype):
    torch.manual_seed(3)
    model = tmp_path / "model"
    model.mkdir()
    weights = {"a": torch.randn(40, 96) * 0.03, "b.c": torch.randn(9, 320) * 2}
    tensors, want = {}, {}
    for module, weight in weights.items():
        stored, want[module] = compressed_by_the_library(SCHEMES[name], weight.to(dtype))
        tensors.update({f"{module}.{key}": value for key, value in stored.items()})
    tensors["a.input_scale"] = torch.ones(1)  # of activations: read over
    save_file(tensors, model / "model.safetensors")
    config = config_of(SCHEMES[name]) | {"quantization_status": "compressed", "version": compressed_tensors.__version__}
    (model / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
    precis("dequantize", model, "-o", tmp_path / "out", "--dtype", "f32", "--progress", "none")
    decoded = load_file(tmp_path / "out" / "model.safetensors")
    assert set(decoded) == {module + ".weight" for module in weights}
    for module, weight in want.items():
        assert torch.equal(decoded[module + ".weight"], weight.float()), module


CACHE = {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False, "symmetric": True}


def test_scales_of_keys_and_values_stay(llama, precis, tmp_path):
    first, out = tmp_path / "first", tmp_path / "out"
    precis("quantize", llama, "-o", first, "--type", json.dumps(config_of(SCHEMES["int4-group"])), "--progress", "none")
    stored = load_file(first / "model.safetensors")
    for layer in range(2):
        stored |= {f"model.layers.{layer}.self_attn.{kind}_scale": torch.tensor([0.02 + layer]) for kind in "kv"}
    save_file(stored, first / "model.safetensors")
    config = json.loads((first / "config.json").read_text())
    config["quantization_config"]["kv_cache_scheme"] = CACHE
    (first / "config.json").write_text(json.dumps(config))

    precis("convert", first, "-o", out, "--type", "compressed-tensors", "--progress", "none")
    written = load_file(out / "model.safetensors")
    assert written.keys() == stored.keys()
    assert all(torch.equal(written[name], stored[name]) for name in stored if name.endswith(("k_scale", "v_scale")))
    kept = json.loads((out / "config.json").read_text())["quantization_config"]["kv_cache_scheme"]
    assert {key: kept[key] for key in CACHE} == CACHE
    model = transformers.LlamaForCausalLM.from_pretrained(out, dtype=torch.bfloat16)
    assert model.config.quantization_config.quantization_config.kv_cache_scheme.num_bits == 8


def test_scales_of_keys_and_values_are_not_invented(llama, precis, tmp_path):
    config = json.dumps(config_of(SCHEMES["int4-group"]) | {"kv_cache_scheme": CACHE})
    result = precis("quantize", llama, "-o", tmp_path / "out", "--type", config, "--progress", "none", code=2)
    assert "k_scale" in result.stderr and not (tmp_path / "out").exists()

"""diffusers and transformers load what precis writes through torchao and get the same values; precis reads what they
save. torchao makes int4 and float8 products on GPUs only: there its classes are restored and their tensors compared."""
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

torchao = pytest.importorskip("torchao")
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict, unflatten_tensor_state_dict  # noqa: E402
from torchao.prototype.safetensors.safetensors_utils import is_metadata_torchao  # noqa: E402
from torchao.quantization import (  # noqa: E402
    Float8WeightOnlyConfig, Int8DynamicActivationInt8WeightConfig, Int8DynamicActivationIntxWeightConfig,
    Int8WeightOnlyConfig, IntxWeightOnlyConfig, MappingType, PerGroup, PerTensor, quantize_)

NAMED = {
    "int8": ("int8_weight_only", {}),
    "int8-tensor": ("int8_weight_only", {"granularity": "tensor"}),
    "int8-group": ("int8_weight_only", {"group_size": 32}),
    "int8-dynamic": ("int8_dynamic_activation_int8_weight", {}),
    "int4-intx": ("IntxWeightOnlyConfig", {"weight_dtype": "int4", "group_size": 32}),
    "int3-asymmetric": ("IntxWeightOnlyConfig", {"weight_dtype": "int3", "group_size": 16, "mapping_type": {"_type": "MappingType", "_data": "ASYMMETRIC"}}),
    "intx-dynamic": ("int8_dynamic_activation_int4_weight", {"group_size": 32}),
    "float8": ("float8_weight_only", {}),
    "float8-e5m2": ("float8wo_e5m2", {}),
}


def config(name):
    quant_type, arguments = NAMED[name]
    return {"quant_method": "torchao", "quant_type": quant_type, "quant_type_kwargs": arguments}


def metadata_of(file):
    with safe_open(file, framework="pt") as f:
        return f.metadata()


def restored(file):
    """The state dict with torchao's classes in it, as torchao itself restores it."""
    metadata = metadata_of(file)
    assert is_metadata_torchao(metadata)
    state, left = unflatten_tensor_state_dict(load_file(file), metadata)
    assert not left
    return state


@pytest.mark.parametrize("name", NAMED)
def test_transformers_loads_what_precis_writes(pipelines, round_trip, name):
    import transformers

    out, decoded = round_trip(pipelines("sd3") / "text_encoder", config(name))
    model = transformers.CLIPTextModelWithProjection.from_pretrained(out, dtype=torch.bfloat16)
    count = 0
    for key, weight in model.state_dict().items():
        if type(weight).__name__ in ("Tensor", "Parameter"):
            continue
        assert torch.equal(weight.dequantize(), decoded[key]), key
        count += 1
    assert count > 10
    ids = torch.randint(0, 100, (1, 7))
    assert torch.isfinite(model(ids).text_embeds).all()


@pytest.mark.parametrize("name", ["int8", "int8-dynamic", "float8"])
def test_diffusers_loads_what_precis_writes(pipelines, round_trip, name):
    import diffusers

    out, decoded = round_trip(pipelines("sd3") / "transformer", config(name))
    model = diffusers.SD3Transformer2DModel.from_pretrained(out, torch_dtype=torch.bfloat16)
    count = 0
    for key, weight in model.state_dict().items():
        if not hasattr(weight, "qdata"):
            continue
        assert torch.equal(weight.dequantize(), decoded[key]), key
        count += 1
    assert count > 10


@pytest.mark.parametrize("packing", ["PLAIN", "TILE_PACKED_TO_4D"])
def test_torchao_restores_int4(tmp_path, round_trip, packing):
    source = tmp_path / "model"
    source.mkdir()
    torch.manual_seed(2)
    weight = (torch.randn(24, 256) * 0.05).bfloat16()
    save_file({"a.weight": weight, "a.bias": torch.zeros(24).bfloat16()}, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))
    out, decoded = round_trip(source, {"quant_method": "torchao", "quant_type": "int4_weight_only", "quant_type_kwargs": {
        "group_size": 64, "int4_packing_format": {"_type": "Int4PackingFormat", "_data": packing}}})
    tensor = restored(out / "model.safetensors")["a.weight"]
    assert tensor.shape == weight.shape and list(tensor.block_size) == [1, 64]
    step = (weight.float().reshape(24, 4, 64).amax(-1) - weight.float().reshape(24, 4, 64).amin(-1)) / 15
    error = (decoded["a.weight"].float() - weight.float()).abs().reshape(24, 4, 64)
    assert (error <= step[..., None] * 0.55 + 2e-3).all()


CONFIGS = {
    "int8": Int8WeightOnlyConfig(),
    "int8-group": Int8WeightOnlyConfig(granularity=PerGroup(32)),
    "int8-dynamic": Int8DynamicActivationInt8WeightConfig(granularity=PerTensor()),
    "intx": IntxWeightOnlyConfig(weight_dtype=torch.int5, granularity=PerGroup(16)),
    "intx-asymmetric": IntxWeightOnlyConfig(weight_dtype=torch.int3, granularity=PerGroup(32), mapping_type=MappingType.ASYMMETRIC),
    "intx-no-clipping": IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32), mapping_type=MappingType.SYMMETRIC_NO_CLIPPING_ERR),
    "intx-dynamic": Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4),
    "float8-tensor": Float8WeightOnlyConfig(granularity=PerTensor()),
    "float8-group": Float8WeightOnlyConfig(granularity=PerGroup(32)),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", CONFIGS)
def test_precis_writes_and_reads_as_torchao(tmp_path, precis, round_trip, name, dtype):
    """The same bytes and metadata from both, and each reads the other's."""
    import diffusers

    torch.manual_seed(4)
    module = torch.nn.ModuleDict({"a": torch.nn.Linear(128, 32, dtype=dtype), "b": torch.nn.Linear(64, 48, dtype=dtype)})
    state = {key: value.clone() for key, value in module.state_dict().items()}
    quantize_(module, CONFIGS[name])
    flat, metadata = flatten_tensor_state_dict(module.state_dict())
    saved = diffusers.TorchAoConfig(CONFIGS[name]).to_dict()
    theirs, source, decoded = tmp_path / "theirs", tmp_path / "source", tmp_path / "read"
    for directory in (theirs, source):
        directory.mkdir()
    save_file({key: value.contiguous() for key, value in flat.items()}, theirs / "model.safetensors",
              metadata={"format": "pt", **metadata})
    (theirs / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": saved}, default=str))
    save_file(state, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))

    short = "bf16" if dtype == torch.bfloat16 else "f32"
    precis("dequantize", theirs, "-o", decoded, "--dtype", short, "--progress", "none")
    read = load_file(decoded / "model.safetensors")
    assert "tensor_names" not in metadata_of(decoded / "model.safetensors")
    out, own = round_trip(source, {"quant_method": "torchao", "quant_type": saved["quant_type"]}, dtype=short)
    written, ours = load_file(out / "model.safetensors"), metadata_of(out / "model.safetensors")
    assert written.keys() == flat.keys()
    for key, value in flat.items():
        assert torch.equal(written[key].view(torch.uint8), value.contiguous().view(torch.uint8)), key
    assert sorted(json.loads(ours["tensor_names"])) == sorted(json.loads(metadata["tensor_names"]))
    for key in ("a.weight", "a.bias", "b.weight"):
        assert json.loads(ours[key]) == json.loads(metadata[key])
    for key, weight in module.state_dict().items():
        if key.endswith("weight"):
            assert torch.equal(read[key], weight.dequantize()) and torch.equal(own[key], read[key]), key


def by_module(entries):
    from torchao.core.config import config_to_dict
    from torchao.quantization import FqnToConfig

    return {"quant_method": "torchao", "quant_type": {"default": config_to_dict(FqnToConfig(entries))}}


def test_each_module_has_the_config_that_fqn_to_config_names(pipelines, round_trip):
    import transformers
    from torchao.quantization import FqnToConfig

    entries = {"re:.*self_attn\\..*_proj": Int8WeightOnlyConfig(granularity=PerGroup(32)), "re:.*\\.fc1": Float8WeightOnlyConfig(),
               "text_model.encoder.layers.0.self_attn.k_proj": None,
               "text_model.encoder.layers.0.mlp.fc1": IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32)),
               "re:.*\\.fc2": Int8WeightOnlyConfig()}
    source = pipelines("sd3") / "text_encoder"
    want = transformers.CLIPTextModelWithProjection.from_pretrained(source, dtype=torch.bfloat16)
    quantize_(want, FqnToConfig(entries), filter_fn=None)
    out, decoded = round_trip(source, by_module(entries))
    model = transformers.CLIPTextModelWithProjection.from_pretrained(out, dtype=torch.bfloat16)
    classes = {}
    for key, weight in want.state_dict().items():
        name = type(weight).__name__
        if name in ("Tensor", "Parameter"):
            continue
        loaded = model.state_dict()[key]
        assert type(loaded) is type(weight) and torch.equal(loaded.dequantize(), weight.dequantize()), key
        assert torch.equal(decoded[key], weight.dequantize()), key
        classes.setdefault(name, []).append(key)
    assert set(classes) == {"Int8Tensor", "Float8Tensor", "IntxUnpackedToInt8Tensor"}
    kept = "text_model.encoder.layers.0.self_attn.k_proj.weight"
    assert torch.equal(model.state_dict()[kept], want.state_dict()[kept])


def test_patterns_that_contradict_each_other_are_refused(tmp_path, precis):
    source = tmp_path / "model"
    source.mkdir()
    save_file({"a.fc.weight": torch.randn(32, 64)}, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({"model_type": "none"}))
    config = by_module({"re:a\\..*": Int8WeightOnlyConfig(), "re:.*fc": None})
    assert "name the module itself" in precis("plan", source, "--type", json.dumps(config), code=2).stderr
    config = by_module({"re:(": Int8WeightOnlyConfig()})
    assert "is not a regular expression" in precis("plan", source, "--type", json.dumps(config), code=1).stderr

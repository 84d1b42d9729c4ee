"""precis writes the bytes that AMD Quark exports, and transformers loads them with Quark's layers; checkpoints in Quark's
form that contradict themselves are refused; patterns give layers a config of their own."""
import copy
import json
import pathlib
import subprocess

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

FP8 = {"dtype": "fp8_e4m3", "qscheme": "per_tensor", "symmetric": True}
FP4 = {"dtype": "fp4", "qscheme": "per_group", "group_size": 32, "ch_axis": -1, "scale_format": "e8m0"}
UINT4 = {"dtype": "uint4", "qscheme": "per_group", "group_size": 32, "ch_axis": 1, "symmetric": False}
ROWS, COLUMNS = 8, 64


def float8(**changed):
    made = {"weight": torch.ones(ROWS, COLUMNS).to(torch.float8_e4m3fn), "weight_scale": torch.tensor(0.5)}
    return {key: value for key, value in (made | changed).items() if value is not None}


def float4(**changed):
    made = {"weight": torch.full((ROWS, COLUMNS // 2), 0x22, dtype=torch.uint8),
            "weight_scale": torch.full((ROWS, COLUMNS // 32), 126, dtype=torch.uint8)}
    return {key: value for key, value in (made | changed).items() if value is not None}


def packed(**changed):
    made = {"weight": torch.zeros(COLUMNS, ROWS // 8, dtype=torch.int32), "weight_scale": torch.ones(COLUMNS // 32, ROWS),
            "weight_zero_point": torch.zeros(COLUMNS // 32, ROWS // 8, dtype=torch.int32)}
    return {key: value for key, value in (made | changed).items() if value is not None}


def checkpoint(directory, modules, **config):
    directory.mkdir()
    save_file({f"{name}.{key}": value for name, tensors in modules.items() for key, value in tensors.items()},
              directory / "model.safetensors")
    config = {"quant_method": "quark", "exclude": ["lm_head"], **config}
    (directory / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
    return directory


def test_layers_have_configs_of_their_own(tmp_path, precis):
    model = checkpoint(tmp_path / "model", {"layers.0.up": float4(), "layers.0.down": float8(input_scale=torch.tensor(1.0))},
                       global_quant_config={"weight": FP4}, layer_quant_config={"*.down": {"weight": FP8}})
    precis("dequantize", model, "-o", tmp_path / "out", "--dtype", "f32", "--progress", "none")
    decoded = load_file(tmp_path / "out" / "model.safetensors")
    assert set(decoded) == {"layers.0.up.weight", "layers.0.down.weight"}
    for weight in decoded.values():
        assert torch.equal(weight, torch.full((ROWS, COLUMNS), 0.5))


@pytest.mark.parametrize("tensors, weight, message", [
    (float8(weight_scale=torch.ones(3)), FP8, "weight_scale' has 3 elements"),
    (float8(weight=torch.ones(4).to(torch.float8_e4m3fn)), FP8, "dimensions"),
    (float8(weight=torch.ones(ROWS, COLUMNS, dtype=torch.int8)), FP8, "wrong dtype"),
    (float4(weight_scale=torch.ones(ROWS, 1, dtype=torch.uint8)), FP4, "weight_scale' has 8 elements"),
    (float4(), FP4 | {"group_size": 0}, "are not read"),
    (float4(), FP4 | {"group_size": 2**62}, "multiple of group_size"),
    (float8(), {"dtype": "uint4", "qscheme": "per_group"}, "are not read"),
    (packed(weight_scale=torch.ones(1, 8)), UINT4, "weight_scale' has 8 elements"),
    (packed(weight_zero_point=None), UINT4, "weight_zero_point' is missing"),
    (packed(weight=torch.zeros(COLUMNS, 1, dtype=torch.int8)), UINT4, "wrong dtype"),
    (packed(), UINT4 | {"ch_axis": 0}, "are not read"),
    (float8(), [FP8, FP8], "are not read"),
])
def test_damaged_checkpoints_are_refused(tmp_path, precis, tensors, weight, message):
    model = checkpoint(tmp_path / "model", {"a": tensors}, global_quant_config={"weight": weight})
    result = subprocess.run([precis.path, "dequantize", model, "-o", tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode > 0 and message in result.stderr, result.stderr


EXPORTED = {preset["name"]: preset["config"] for preset in
            json.loads(pathlib.Path(__file__).with_name("manifest.json").read_text())["presets"]}


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A small model in bfloat16, and its directory."""
    torch.manual_seed(9)
    config = transformers.LlamaConfig(vocab_size=64, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
                                      num_attention_heads=4, num_key_value_heads=2)
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16).eval()
    out = tmp_path_factory.mktemp("llama")
    model.save_pretrained(out)
    return model, out


def quark_config(name):
    spec = pytest.importorskip("quark.torch.quantization.config.config")
    integers = {"symmetric": True, "scale_type": "float", "round_method": "half_even", "is_dynamic": False}
    weight = {"quark-fp8": lambda: spec.FP8E4M3PerTensorSpec(observer_method="min_max", is_dynamic=False),
              "quark-fp8-rows": lambda: spec.FP8E4M3PerChannelSpec(ch_axis=0, is_dynamic=False),
              "quark-int8": lambda: spec.Int8PerTensorSpec(observer_method="min_max", **integers),
              "quark-int8-rows": lambda: spec.Int8PerChannelSpec(ch_axis=0, **integers),
              "quark-int4": lambda: spec.Int4PerGroupSpec(ch_axis=-1, group_size=128, **integers),
              "quark-uint4": lambda: spec.Uint4PerGroupSpec(ch_axis=-1, group_size=128, **integers | {"symmetric": False}),
              "quark-mxfp4": lambda: spec.OCP_MXFP4Spec(ch_axis=-1, is_dynamic=False)}[name]()
    return spec.QConfig(global_quant_config=spec.QLayerConfig(weight=weight.to_quantization_spec()), exclude=["lm_head"])


@pytest.mark.parametrize("name", EXPORTED)
def test_writes_what_quark_exports(tmp_path, llama, round_trip, name):
    quark = pytest.importorskip("quark.torch")
    model, source = llama
    quantizer = quark.ModelQuantizer(quark_config(name))
    made = quantizer.freeze(quantizer.quantize_model(copy.deepcopy(model), None))
    quark.export_safetensors(made, tmp_path / "theirs")
    out, decoded = round_trip(source, EXPORTED[name])
    ours, theirs = (load_file(directory / "model.safetensors") for directory in (out, tmp_path / "theirs"))
    assert ours.keys() == theirs.keys()
    for key, want in theirs.items():
        assert ours[key].dtype == want.dtype and ours[key].shape == want.shape, key
        assert torch.equal(ours[key].reshape(-1).view(torch.uint8), want.reshape(-1).view(torch.uint8)), key

    loaded, report = transformers.LlamaForCausalLM.from_pretrained(out, dtype=torch.bfloat16, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    plain = transformers.LlamaForCausalLM.from_pretrained(source, dtype=torch.bfloat16)
    plain.load_state_dict(decoded)
    tokens = torch.tensor([[1, 5, 9, 1]])
    with torch.inference_mode():
        assert torch.equal(loaded(tokens).logits, plain(tokens).logits)

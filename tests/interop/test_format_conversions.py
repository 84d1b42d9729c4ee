"""precis convert from one quantized format to another: every value stays as it is, by decoders that nobody here wrote
(transformers with compressed-tensors, gguf) or that spell out the Python libraries' own in numpy; where a format cannot
hold the values, the tensor and the reason are named."""
import json
import pathlib

import numpy
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def gptq(bits=4, group=32, **keys):
    return {"quant_method": "gptq", "bits": bits, "group_size": group, **keys}


def awq(group=32, version="gemm"):
    return {"quant_method": "awq", "bits": 4, "group_size": group, "version": version}


def packed(bits=4, group=32, symmetric=True):
    weights = {"num_bits": bits, "strategy": "group", "group_size": group, "symmetric": symmetric}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}


def float8(strategy, **keys):
    weights = {"num_bits": 8, "type": "float", "strategy": strategy, **keys}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """dtype -> directory of a small model."""
    made = {}

    def make(dtype):
        if dtype not in made:
            torch.manual_seed(5)
            config = transformers.LlamaConfig(vocab_size=64, hidden_size=128, intermediate_size=192, num_hidden_layers=2,
                                              num_attention_heads=4, num_key_value_heads=2)
            made[dtype] = tmp_path_factory.mktemp("llama")
            transformers.LlamaForCausalLM(config).to(dtype).save_pretrained(made[dtype])
        return made[dtype]

    return make


@pytest.fixture
def converted(precis, tmp_path):
    """Quantizes a model by the first config and converts it to each of the others in turn; gives all directories."""
    def run(source, *configs):
        steps = [source]
        for config in configs:
            out = tmp_path / f"step{len(list(tmp_path.glob('step*')))}"
            command = "quantize" if steps[-1] is source else "convert"
            precis(command, steps[-1], "-o", out, "--type", json.dumps(config), "--progress", "none")
            steps.append(out)
        return steps[1:]

    return run


def stored(directory):
    tensors = {}
    for file in directory.glob("*.safetensors"):
        tensors.update(load_file(file))
    return tensors


def nibbles(words, order=range(8)):
    """[..., n] int32 -> [..., n, 8], nibble order[i] at place i."""
    words = words.numpy().view(numpy.uint32)
    return numpy.stack([words >> (4 * i) & 15 for i in order], axis=-1).astype(numpy.int32)


def decode_gptq(tensors, module, less_one=True):
    """AutoGPTQ's qlinear_cuda_old.py: codes along the columns, zero points stored less one."""
    codes = nibbles(tensors[module + ".qweight"]).transpose(0, 2, 1)  # [columns / 8, 8, rows]
    codes = codes.reshape(-1, codes.shape[-1])
    zeros = nibbles(tensors[module + ".qzeros"]).reshape(tensors[module + ".qzeros"].shape[0], -1) + less_one
    group = tensors[module + ".g_idx"].numpy()
    scales = tensors[module + ".scales"].numpy()
    return torch.from_numpy((scales[group] * (codes - zeros[group]).astype(numpy.float16)).T)


AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)


def decode_awq(tensors, module):
    """AutoAWQ's dequantize_gemm (utils/packing_utils.py)."""
    codes = nibbles(tensors[module + ".qweight"], AWQ_ORDER).reshape(tensors[module + ".qweight"].shape[0], -1)
    zeros = nibbles(tensors[module + ".qzeros"], AWQ_ORDER).reshape(tensors[module + ".qzeros"].shape[0], -1)
    scales = tensors[module + ".scales"].numpy()
    group = numpy.arange(codes.shape[0]) // (codes.shape[0] // scales.shape[0])
    return torch.from_numpy(((codes - zeros[group]).astype(numpy.float16) * scales[group]).T)


def decode_packed(tensors, module, bits=4):
    """With the functions of compressed-tensors itself."""
    pack = pytest.importorskip("compressed_tensors.compressors.pack_quantized.helpers")
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import dequantize

    scales = tensors[module + ".weight_scale"]
    codes = pack.unpack_from_int32(tensors[module + ".weight_packed"], bits,
                                   torch.Size(tensors[module + ".weight_shape"].tolist()))
    zeros = tensors.get(module + ".weight_zero_point")
    if zeros is not None:
        zeros = pack.unpack_from_int32(zeros, bits, torch.Size(scales.shape), packed_dim=0)
    args = QuantizationArgs(num_bits=bits, strategy="group", group_size=codes.shape[1] // scales.shape[1],
                            symmetric=zeros is None)
    return dequantize(codes, scales, zeros, args)


def decode_gemv(tensors, module):
    """AutoAWQ's modules/linear/gemv.py: rows as they are, zero points and scales filled up to a multiple of 8."""
    codes = nibbles(tensors[module + ".qweight"]).reshape(tensors[module + ".qweight"].shape[0], -1)
    zeros = nibbles(tensors[module + ".qzeros"]).reshape(codes.shape[0], -1)
    group = numpy.arange(codes.shape[1]) // 64
    return torch.from_numpy((codes - zeros[:, group]).astype(numpy.float16) * tensors[module + ".scales"].numpy()[:, group])


DECODERS = {"gptq": decode_gptq, "awq": decode_awq, "compressed-tensors": decode_packed}


def modules_of(tensors):
    return sorted({key.rpartition(".")[0] for key in tensors if key.endswith((".qweight", ".weight_packed"))})


@pytest.mark.parametrize("configs", [
    (gptq(), packed(), gptq()),
    (gptq(sym=False), awq(), packed(symmetric=False), gptq(sym=False)),
    (awq(), gptq(sym=False), packed(symmetric=False), awq()),
    (packed(symmetric=False), gptq(sym=False), awq(), packed(symmetric=False)),
    (packed(), awq(), gptq(), packed()),
    (gptq(group=128), awq(group=64), packed(group=32, symmetric=False)),  # finer groups have copies of a scale
], ids=lambda configs: " to ".join(config["quant_method"] for config in configs))
def test_integers_with_scales_of_groups(llama, converted, configs):
    steps = converted(llama(torch.float16), *configs)
    first = stored(steps[0])
    modules = modules_of(first)
    assert len(modules) == 14
    want = {module: DECODERS[configs[0]["quant_method"]](first, module) for module in modules}
    for step, config in zip(steps, configs):
        tensors = stored(step)
        assert modules_of(tensors) == modules
        for module in modules:
            found = DECODERS[config["quant_method"]](tensors, module)
            assert found.dtype == torch.float16 and torch.equal(found, want[module]), (step, module)
        assert torch.equal(tensors["lm_head.weight"], first["lm_head.weight"])
        written = json.loads((step / "config.json").read_text())["quantization_config"]
        assert written["quant_method"] == config["quant_method"]
        assert (step / "quantize_config.json").exists() == (config["quant_method"] == "gptq")
    if configs[0] == configs[-1]:
        last = stored(steps[-1])
        assert last.keys() == first.keys()
        assert all(torch.equal(last[key], first[key]) for key in first)


def test_transformers_loads_gptq_as_compressed_tensors(llama, converted, precis, tmp_path):
    pytest.importorskip("compressed_tensors")
    source, out = converted(llama(torch.float16), gptq(), packed())
    model, report = transformers.LlamaForCausalLM.from_pretrained(out, dtype=torch.float16, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    with torch.inference_mode():
        model(torch.tensor([[1, 5, 9, 1]]))  # decompresses
    state, tensors = model.state_dict(), stored(source)
    for module in modules_of(tensors):
        assert torch.equal(state[module + ".weight"], decode_gptq(tensors, module)), module


def test_the_report_and_the_files_tell_of_a_conversion(llama, converted, precis, tmp_path):
    source, = converted(llama(torch.float16), gptq())
    report = precis.json("convert", source, "-o", tmp_path / "out", "--type", json.dumps(packed()), "--allow-requantize")
    assert [component["worst_relative_error"] for component in report["components"]] == [0.0]
    with safe_open(tmp_path / "out/model.safetensors", "pt") as file:
        recipe = json.loads(file.metadata()["precis.provenance"])["recipe"]
    assert recipe["allow_requantize"] is True and json.loads(recipe["type"]) == packed()
    message = precis("quantize", source, "-o", tmp_path / "no", "--type", json.dumps(awq()), "--progress", "none", code=1)
    assert "is already quantized" in message.stderr and "precis convert" in message.stderr


def test_weights_that_a_rule_names_are_converted_alone(llama, converted, precis, tmp_path):
    source, = converted(llama(torch.float16), gptq())
    message = precis("convert", source, "-o", tmp_path / "out", "--rule", "q_proj=awq:bits=4,group_size=32", "--progress",
                     "none", code=1).stderr
    assert "cannot stand in one config.json" in message


def with_activation_order(directory, out):
    """The same checkpoint with its columns in groups at random, as desc_act makes them."""
    out.mkdir()
    tensors = stored(directory)
    generator = torch.Generator().manual_seed(3)
    for key in tensors:
        if key.endswith(".g_idx"):
            tensors[key] = tensors[key][torch.randperm(tensors[key].numel(), generator=generator)].contiguous()
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"].update(desc_act=True)
    (out / "config.json").write_text(json.dumps(config))
    return out


def test_groups_by_the_order_of_activation(llama, converted, precis, tmp_path):
    source, = converted(llama(torch.float16), gptq(sym=False))
    ordered, out = with_activation_order(source, tmp_path / "ordered"), tmp_path / "v2"
    precis("convert", ordered, "-o", out, "--type",
           json.dumps(gptq(sym=False, desc_act=True, checkpoint_format="gptq_v2")), "--progress", "none")
    before, after = stored(ordered), stored(out)
    for module in modules_of(before):
        assert torch.equal(decode_gptq(after, module, less_one=False), decode_gptq(before, module)), module
    for config in (awq(), packed(symmetric=False)):
        message = precis("convert", ordered, "-o", tmp_path / "no", "--type", json.dumps(config), "--progress", "none",
                         code=5).stderr
        assert "tensor 'model.layers.0." in message and "order of activation" in message
        assert "--allow-requantize" in message
        assert not (tmp_path / "no").exists()


REFUSALS = {
    "coarser-groups": (gptq(group=32, sym=False), awq(group=64), "its scales are for 32 columns each, the config's for 64"),
    "no-zero-points": (awq(), packed(), "has the zero point"),
    "symmetric-gptq": (awq(), gptq(sym=True), "have zero points"),
    "fewer-bits": (gptq(bits=8, sym=False), awq(), "is no code of 4 bits"),
    "other-rounding": (gptq(), {"quant_method": "gguf", "type": "q4_0"}, "would become"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_format_cannot_hold_is_named(llama, converted, precis, tmp_path, name):
    first, second, reason = REFUSALS[name]
    source, = converted(llama(torch.float16), first)
    out = tmp_path / ("out.gguf" if second["quant_method"] == "gguf" else "out")
    args = ["convert", source, "-o", out, "--type", json.dumps(second), "--progress", "none"]
    message = precis(*args, code=5).stderr
    assert "tensor 'model.layers.0." in message and reason in message, message
    assert not out.exists()
    precis(*args, "--allow-requantize")
    assert second["quant_method"] in precis.json("inspect", out)["components"][0]["method"]


@pytest.mark.parametrize("first, target", [
    (gptq(group=32, sym=False), "awq"), (gptq(bits=8, group=64), "compressed-tensors"), (awq(group=64), "gptq"),
    (awq(group=32), "compressed-tensors"), (packed(group=32, symmetric=False), "awq"), (packed(bits=8, group=64), "gptq"),
    (gptq(group=32, sym=False), "gptq:checkpoint_format=gptq_v2")])
def test_what_the_target_leaves_open_is_the_sources(llama, precis, converted, tmp_path, first, target):
    """Bits, the size of groups and zero points, where --type gives the method's name."""
    source, = converted(llama(torch.float16), first)
    out = tmp_path / "out"
    precis("convert", source, "-o", out, "--type", target, "--progress", "none")
    values = []
    for model in (source, out):
        decoded = tmp_path / f"decoded-{model.name}"
        precis("dequantize", model, "-o", decoded, "--dtype", "f32", "--progress", "none")
        values.append(stored(decoded))
    assert values[0].keys() == values[1].keys()
    assert all(torch.equal(values[0][name], values[1][name]) for name in values[0])


def test_a_source_of_gptq_is_told_by_its_quantize_config(llama, precis, converted, tmp_path):
    """As AutoGPTQ left its checkpoints, with no word of it in config.json; without that file nothing tells."""
    source, = converted(llama(torch.float16), gptq(group=32, sym=False))
    config = json.loads((source / "config.json").read_text())
    del config["quantization_config"]
    (source / "config.json").write_text(json.dumps(config))
    own = json.loads((source / "quantize_config.json").read_text())
    del own["quant_method"]
    (source / "quantize_config.json").write_text(json.dumps(own))
    out = tmp_path / "out"
    precis("convert", source, "-o", out, "--type", "awq", "--progress", "none")
    assert json.loads((out / "config.json").read_text())["quantization_config"]["group_size"] == 32
    assert not (out / "quantize_config.json").exists()
    (source / "quantize_config.json").unlink()
    message = precis("convert", source, "-o", tmp_path / "no", "--type", "awq", "--progress", "none", code=1).stderr
    assert "holds packed integers" in message and "quantize_config.json" in message
    assert not (tmp_path / "no").exists()


def test_scales_in_bfloat16_are_no_scales_of_gptq(llama, converted, precis, tmp_path):
    source, = converted(llama(torch.bfloat16), packed())
    message = precis("convert", source, "-o", tmp_path / "out", "--type", json.dumps(gptq()), "--progress", "none",
                     code=5).stderr
    assert "tensor 'model.layers.0." in message


GOLDEN = pathlib.Path(__file__).parents[1] / "oracle/golden"


@pytest.fixture
def recorded_model(tmp_path):
    """A checkpoint of one module `layer` as a Python library stored it; gives its directory, the tensors, and the weight
    that the library's layer multiplies with, where it was recorded."""
    def run(path, config=None):
        with safe_open(GOLDEN / f"{path}.safetensors", "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            options = json.loads(file.metadata()["config"])
        own = {name.replace("expected.", "layer."): tensor for name, tensor in tensors.items() if name.startswith("expected.")}
        options = {key: value for key, value in options.items() if key not in ("shape", "weight_dtype")}
        model = tmp_path / "recorded"
        model.mkdir()
        save_file(own, model / "model.safetensors", {"format": "pt"})
        (model / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": {**options, **config}}))
        return model, own, tensors.get("dequantized.weight")

    return run


@pytest.mark.parametrize("name, target", [
    ("4b-g32-asym-auto_gptq", gptq(sym=False)), ("4b-g32-asym-auto_gptq", awq()),
    ("4b-g32-asym-auto_gptq", packed(symmetric=False)), ("4b-g32-asym-auto_awq", awq()),
    ("4b-g32-asym-auto_awq", gptq(sym=False)), ("4b-g32-sym-gptqmodel", gptq()), ("4b-g32-sym-gptqmodel", packed()),
    ("4b-g128-sym-auto_awq", gptq(group=128)), ("3b-g64-asym-gptqmodel", gptq(group=64, sym=False)),
    ("2b-g32-sym-auto_gptq", awq()), ("8b-g64-sym-auto_gptq", packed(bits=8, group=64)),
], ids=lambda value: value if isinstance(value, str) else value["quant_method"])
def test_what_auto_round_stored_keeps_the_values_of_its_layer(recorded_model, precis, tmp_path, name, target):
    model, _, want = recorded_model(f"auto_round/{name}-32x128-f16-gauss", {"quant_method": "auto-round"})
    precis("convert", model, "-o", tmp_path / "out", "--type", json.dumps(target), "--progress", "none")
    bits = {"bits": 8} if name.startswith("8b") else {}
    found = DECODERS[target["quant_method"]](stored(tmp_path / "out"), "layer", **bits)
    assert torch.equal(found, want)


def test_what_autoawq_stored_for_gemv_goes_into_others_and_back(recorded_model, precis, tmp_path):
    model, before, _ = recorded_model("awq/gemv-g64-32x128-f16-gauss", {"quant_method": "awq", "bits": 4})
    want, last = decode_gemv(before, "layer"), model
    for step, target in enumerate([awq(64), gptq(group=64, sym=False), packed(group=64, symmetric=False), awq(64, "gemv")]):
        out = tmp_path / f"out{step}"
        precis("convert", last, "-o", out, "--type", json.dumps(target), "--progress", "none")
        decode = decode_gemv if target.get("version") == "gemv" else DECODERS[target["quant_method"]]
        assert torch.equal(decode(stored(out), "layer"), want), target
        last = out
    after = stored(last)
    for part in ("qweight", "qzeros", "scales"):
        assert torch.equal(after[f"layer.{part}"], before[f"layer.{part}"]), part


def test_what_autoawq_stored_for_gemv_fast_stays_with_gemv_fast(recorded_model, precis, tmp_path):
    model, before, _ = recorded_model("awq/gemv_fast-g128-32x128-f16-gauss", {"quant_method": "awq", "bits": 4})
    fast = json.dumps(awq(128, "gemv_fast"))
    precis("convert", model, "-o", tmp_path / "same", "--type", fast, "--progress", "none")
    after = stored(tmp_path / "same")
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    message = precis("convert", model, "-o", tmp_path / "other", "--type", json.dumps(awq(128)), "--progress", "none",
                     code=5).stderr
    assert "tensor 'layer.weight'" in message


def float8_model(llama, tmp_path, exponents):
    """A model whose rows are float8 numbers times powers of two, every row with the largest of them."""
    source, out = llama(torch.bfloat16), tmp_path / "float8-model"
    out.mkdir()
    generator = torch.Generator().manual_seed(1)
    tensors = stored(source)
    for key, tensor in tensors.items():
        if tensor.dim() == 2 and "layers" in key:
            codes = (torch.randn(tensor.shape, generator=generator) * 40).clamp(-400, 400).to(torch.float8_e4m3fn).float()
            codes[codes.abs() < 0.25] = 1.5
            codes[:, 0] = 448
            rows = torch.tensor(exponents)[torch.arange(tensor.shape[0]) % len(exponents)]
            tensors[key] = (codes * torch.exp2(rows.float())[:, None]).to(torch.bfloat16)
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    (out / "config.json").write_bytes((source / "config.json").read_bytes())
    return out


def decode_float8(tensors, module):
    codes = tensors[module + ".weight"].float()
    scales = tensors.get(module + ".weight_scale_inv", tensors.get(module + ".weight_scale"))
    scales = torch.exp2(scales.view(torch.uint8).float() - 127) if scales.element_size() == 1 else scales.float()
    scales = scales.reshape(scales.shape if scales.dim() == 2 else (1, 1))
    rows, columns = -(-codes.shape[0] // scales.shape[0]), -(-codes.shape[1] // scales.shape[1])
    return codes * scales.repeat_interleave(rows, 0)[:codes.shape[0]].repeat_interleave(columns, 1)[:, :codes.shape[1]]


FBGEMM = {"quant_method": "fbgemm_fp8"}
TILES = {"quant_method": "fp8", "weight_block_size": [64, 64]}
POWERS = {**TILES, "scale_fmt": "ue8m0"}


@pytest.mark.parametrize("configs", [
    (float8("channel"), float8("tensor"), float8("channel")),
    (FBGEMM, float8("tensor"), FBGEMM),
    (POWERS, float8("block", block_structure=[64, 64]), float8("channel"), float8("tensor"), TILES),
    (float8("tensor"), POWERS),
], ids=["channel", "fbgemm", "tiles", "powers"])
def test_float8_scales_that_are_powers_of_two_apart(llama, converted, tmp_path, configs):
    steps = converted(float8_model(llama, tmp_path, (-8, -7, -9)), *configs)
    first = stored(steps[0])
    modules = [key.removesuffix(".weight") for key, tensor in first.items() if tensor.dtype == torch.float8_e4m3fn]
    assert len(modules) == 14
    for step in steps[1:]:
        tensors = stored(step)
        for module in modules:
            assert torch.equal(decode_float8(tensors, module), decode_float8(first, module)), (step, module)


def test_float8_scales_that_are_not_are_refused(llama, converted, precis, tmp_path):
    source, = converted(llama(torch.bfloat16), float8("channel"))
    message = precis("convert", source, "-o", tmp_path / "out", "--type", json.dumps(float8("tensor")), "--progress",
                     "none", code=5).stderr
    assert "tensor 'model.layers.0." in message and "are not powers of two apart" in message


def test_nf4_goes_into_the_numbers_of_a_gguf_and_into_no_block_type(llama, converted, precis, tmp_path):
    from gguf import GGUFReader

    source, = converted(llama(torch.bfloat16), {"quant_method": "bitsandbytes", "load_in_4bit": True,
                                                "bnb_4bit_quant_type": "nf4"})
    out, decoded = tmp_path / "out.gguf", tmp_path / "decoded"
    precis("convert", source, "-o", out, "--type", "gguf:bf16", "--progress", "none")
    precis("dequantize", source, "-o", decoded, "--dtype", "bf16", "--progress", "none")
    want = stored(decoded)
    found = {tensor.name: tensor for tensor in GGUFReader(out).tensors}
    name = "model.layers.1.mlp.up_proj.weight"
    bits = torch.from_numpy(numpy.array(found[name].data)).view(torch.bfloat16).reshape(want[name].shape)
    assert torch.equal(bits, want[name])
    for kind in ("iq4_nl", "q8_0", "q4_0"):
        message = precis("convert", source, "-o", tmp_path / f"{kind}.gguf", "--type", f"gguf:{kind}", "--progress",
                         "none", code=5).stderr
        assert "tensor 'model.layers.0." in message and "would become" in message, kind


@pytest.mark.parametrize("dtype, kind, options", [
    (torch.bfloat16, "bf16", {}), (torch.float16, "f16", {}), (torch.bfloat16, "bf16", {"bnb_4bit_use_double_quant": True}),
], ids=["bf16", "f16", "double"])
def test_fp4_values_are_those_of_bitsandbytes_in_a_gguf(llama, converted, precis, tmp_path, dtype, kind, options):
    functional = pytest.importorskip("bitsandbytes.functional")
    from gguf import GGUFReader

    source, = converted(llama(dtype), {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "fp4", **options})
    out, tensors = tmp_path / "out.gguf", stored(source)
    precis("convert", source, "-o", out, "--type", f"gguf:{kind}", "--progress", "none")
    found = {tensor.name: tensor for tensor in GGUFReader(out).tensors}
    names = [name for name, tensor in tensors.items() if tensor.dtype == torch.uint8 and name.endswith(".weight")]
    assert len(names) == 14
    for name in names:
        state = {key: tensor for key, tensor in tensors.items() if key.startswith(name + ".")}
        want = functional.dequantize_4bit(tensors[name], functional.QuantState.from_dict(state, torch.device("cpu")))
        numbers = torch.from_numpy(numpy.array(found[name].data)).view(dtype).reshape(want.shape)
        assert torch.equal(numbers, want), name


def test_no_type_of_gguf_has_the_values_of_llm_int8(llama, converted, precis, tmp_path):
    source, = converted(llama(torch.bfloat16), {"quant_method": "bitsandbytes", "load_in_8bit": True})
    for kind in ("bf16", "f16", "q8_0"):
        message = precis("convert", source, "-o", tmp_path / "no.gguf", "--type", f"gguf:{kind}", "--progress", "none",
                         code=5).stderr
        assert "tensor 'model.layers.0." in message and "would become" in message, kind


def test_mxfp4_goes_from_compressed_tensors_to_gguf_and_back(llama, converted, precis, tmp_path):
    mxfp4 = {"quant_method": "compressed-tensors", "config_groups": {"MXFP4A16": ["Linear"]}}
    source, = converted(llama(torch.bfloat16), mxfp4)
    precis("convert", source, "-o", tmp_path / "out.gguf", "--type", "gguf:mxfp4", "--progress", "none")
    report = precis.json("compare", source, tmp_path / "out.gguf")
    assert all(row["relative_error"] == 0 for row in report["tensors"])


def test_components_of_a_pipeline_are_converted_one_by_one(pipelines, precis, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    precis("quantize", pipelines("sd3"), "-o", first, "--component", "transformer=nf4", "--component",
           f"text_encoder_3={json.dumps(float8('channel'))}", "--progress", "none")
    precis("convert", first, "-o", second, "--component",
           f"text_encoder_3={json.dumps(float8('block', block_structure=[1, 32]))}", "--progress", "none")
    report = precis.json("compare", first, second)
    assert all(row["relative_error"] == 0 for row in report["tensors"])
    assert (second / "transformer/config.json").read_text() == (first / "transformer/config.json").read_text()
    precis("verify", second, "--source", first)

"""What precis writes loads in the Python libraries to the same values, and the reverse, bit for bit."""
import json

import diffusers
import gguf
import numpy as np
import pytest
import torch
import transformers
from diffusers import DiffusionPipeline, GGUFQuantizationConfig
from diffusers.quantizers.bitsandbytes import bnb_quantizer
from optimum.quanto import requantize
from safetensors.torch import load_file, save_file

# diffusers refuses bitsandbytes on a machine without a GPU; its loading code itself runs on a CPU.
for quantizer in (bnb_quantizer.BnB4BitDiffusersQuantizer, bnb_quantizer.BnB8BitDiffusersQuantizer):
    quantizer.validate_environment = lambda self, *args, **kwargs: None

TRANSFORMERS = {"sd3": diffusers.SD3Transformer2DModel, "flux": diffusers.FluxTransformer2DModel,
                "pixart": diffusers.PixArtTransformer2DModel}
METHODS = ["nf4", "fp4", "nf4-dq", "int8", "qint8", "qint4", "qfloat8"]


def decoded(precis, directory, out):
    """The weights of a component as `precis dequantize` decodes them to float32."""
    precis("dequantize", directory, "-o", out, "--dtype", "f32", "--progress", "none")
    tensors = {}
    for file in sorted(out.glob("*.safetensors")):
        tensors.update(load_file(file))
    return tensors


def library_weights(model):
    """name -> float32 weight of every quantized layer, decoded by the library that owns it."""
    import bitsandbytes as bnb

    weights = {}
    for name, module in model.named_modules():
        kind = type(module).__name__
        if isinstance(module, bnb.nn.Linear4bit):
            value = bnb.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
        elif isinstance(module, bnb.nn.Linear8bitLt):
            scb = module.weight.SCB if module.weight.SCB is not None else module.state.SCB
            value = bnb.functional.int8_vectorwise_dequant(module.weight.data, scb)
        elif kind == "QLinear":
            value = module.weight.dequantize()
        elif kind == "GGUFLinear":
            continue
        else:
            continue
        weights[name + ".weight"] = value.detach().float()
    return weights


def expect_equal(got, want, what):
    assert got, f"{what}: nothing is quantized"
    for name, value in got.items():
        assert torch.equal(value, want[name].float()), f"{what}: {name} differs"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["sd3", "flux", "pixart"])
def test_diffusers_loads_what_precis_writes(precis, pipelines, tmp_path, family, method):
    out = tmp_path / "out"
    precis("quantize", pipelines(family), "-o", out, "--component", f"transformer={method}", "--progress", "none")
    precis("verify", out, "--source", pipelines(family))
    model = TRANSFORMERS[family].from_pretrained(out / "transformer", device_map="cpu", torch_dtype=torch.bfloat16)
    expect_equal(library_weights(model), decoded(precis, out / "transformer", tmp_path / "float"), method)


@pytest.mark.parametrize("method", ["nf4", "nf4-dq", "int8"])
def test_transformers_loads_what_precis_writes(precis, pipelines, tmp_path, method):
    out = tmp_path / "out"
    precis("quantize", pipelines("sd3"), "-o", out, "--component", f"text_encoder_3={method}", "--progress", "none")
    model = transformers.T5EncoderModel.from_pretrained(out / "text_encoder_3", device_map="cpu", dtype=torch.bfloat16)
    expect_equal(library_weights(model), decoded(precis, out / "text_encoder_3", tmp_path / "float"), method)


@pytest.mark.parametrize("spec", ["qint8", "qint4", "qint2", "qfloat8"])
def test_quanto_loads_a_text_encoder_that_transformers_cannot(precis, pipelines, tmp_path, spec):
    out = tmp_path / "out"
    precis("quantize", pipelines("sd3"), "-o", out, "--component", f"text_encoder_3={spec}", "--progress", "none")
    encoder = out / "text_encoder_3"
    config = transformers.T5Config.from_pretrained(pipelines("sd3") / "text_encoder_3")
    model = transformers.T5EncoderModel(config).to(torch.bfloat16)
    state_dict = {}
    for file in encoder.glob("*.safetensors"):
        state_dict.update(load_file(file))
    requantize(model, state_dict, json.loads((encoder / "quanto_qmap.json").read_text()), device=torch.device("cpu"))
    expect_equal(library_weights(model), decoded(precis, encoder, tmp_path / "float"), spec)


def test_a_whole_pipeline_of_two_methods_loads(precis, pipelines, tmp_path):
    out = tmp_path / "out"
    precis("quantize", pipelines("sd3"), "-o", out, "--component", "transformer=nf4", "--component", "text_encoder_3=int8",
           "--progress", "none")
    # Without a device map diffusers puts bitsandbytes' components on a GPU.
    pipe = DiffusionPipeline.from_pretrained(
        out, torch_dtype=torch.bfloat16,
        transformer=diffusers.SD3Transformer2DModel.from_pretrained(out / "transformer", device_map="cpu"),
        text_encoder_3=transformers.T5EncoderModel.from_pretrained(out / "text_encoder_3", device_map="cpu"))
    assert len(library_weights(pipe.transformer)) > 0
    assert len(library_weights(pipe.text_encoder_3)) > 0


@pytest.mark.parametrize("type_name", ["q8_0", "q4_0", "q5_1", "q4_k", "iq4_nl"])
def test_gguf_files_are_read_by_gguf_and_diffusers(precis, pipelines, tmp_path, type_name):
    out = tmp_path / "out"
    precis("quantize", pipelines("sd3"), "-o", out, "--component", f"transformer=gguf:{type_name}", "--progress", "none")
    file = out / "transformer" / "diffusion_pytorch_model.gguf"
    want = decoded(precis, out / "transformer", tmp_path / "float")
    reader = gguf.GGUFReader(file)
    for tensor in reader.tensors:
        value = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(value.reshape(want[tensor.name].shape), want[tensor.name].float().numpy()), tensor.name
    model = diffusers.SD3Transformer2DModel.from_single_file(
        str(file), quantization_config=GGUFQuantizationConfig(compute_dtype=torch.float32), torch_dtype=torch.float32,
        config=str(pipelines("sd3") / "transformer"))
    assert sum(type(module).__name__ == "GGUFLinear" for module in model.modules()) > 0


@pytest.mark.parametrize("type_name, file_type", [
    ("f16", "F16"), ("bf16", "BF16"), ("q4_0", "Q4_0"), ("q8_0", "Q8_0"), ("q5_1", "Q5_1"), ("q2_k", "Q2_K"),
    ("q2_k_s", "Q2_K_S"), ("q3_k_s", "Q3_K_S"), ("q3_k_m", "Q3_K_M"), ("q3_k_l", "Q3_K_L"), ("q4_k_s", "Q4_K_S"),
    ("q4_k_m", "Q4_K_M"), ("q5_k_m", "Q5_K_M"), ("q6_k", "Q6_K"), ("iq4_xs", "IQ4_XS"), ("iq3_s", "IQ3_S"),
    ("iq2_s", "IQ2_S"), ("tq1_0", "TQ1_0"), ("mxfp4", "MXFP4_MOE"), ("nvfp4", "NVFP4"), ("q1_0", "Q1_0")])
def test_a_gguf_file_names_its_type_as_gguf_does(precis, tmp_path, type_name, file_type):
    weight = torch.randn(16, 512, generator=torch.Generator().manual_seed(0))
    save_file({"blk.0.ffn_up.weight": weight}, tmp_path / "model.safetensors")
    precis("quantize", tmp_path / "model.safetensors", "-o", tmp_path / "model.gguf", "--type", f"gguf:{type_name}",
           "--progress", "none")
    field = gguf.GGUFReader(tmp_path / "model.gguf").fields["general.file_type"]
    assert field.contents() == gguf.LlamaFileType["MOSTLY_" + file_type]


def write_imatrix(path, columns_of):
    """An importance matrix as llama-imatrix writes it: sums of squares and the count they were summed over."""
    rng = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    for name, columns in columns_of.items():
        writer.add_tensor(name + ".in_sum2", rng.exponential(size=(1, columns)).astype(np.float32) * 64)
        writer.add_tensor(name + ".counts", np.full((1, 1), 64, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("type_name", ["iq3_s", "iq3_xxs", "iq2_s", "iq2_xs", "iq2_xxs", "iq1_m", "iq1_s"])
def test_gguf_decodes_the_codebook_types_that_precis_writes(precis, tmp_path, type_name):
    rng = np.random.default_rng(0)
    weights = {f"blk.0.{name}.weight": rng.standard_normal((16, 512), dtype=np.float32) for name in ("attn_q", "ffn_up")}
    save_file({name: torch.from_numpy(value) for name, value in weights.items()}, tmp_path / "model.safetensors")
    write_imatrix(tmp_path / "imatrix.gguf", {name: 512 for name in weights})
    precis("quantize", tmp_path / "model.safetensors", "-o", tmp_path / "model.gguf", "--type", f"gguf:{type_name}",
           "--imatrix", tmp_path / "imatrix.gguf", "--progress", "none")
    precis("dequantize", tmp_path / "model.gguf", "-o", tmp_path / "float.safetensors", "--dtype", "f32", "--progress", "none")
    ours = load_file(tmp_path / "float.safetensors")
    for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors:
        assert tensor.tensor_type.name.lower() == type_name
        value = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(value, ours[tensor.name].numpy()), tensor.name
        error = np.linalg.norm(value - weights[tensor.name]) / np.linalg.norm(weights[tensor.name])
        assert error < {"iq3": 0.25, "iq2": 0.45, "iq1": 0.6}[type_name[:3]], error
    if type_name in ("iq2_xs", "iq2_xxs", "iq1_s"):
        refused = precis("quantize", tmp_path / "model.safetensors", "-o", tmp_path / "none.gguf", "--type",
                         f"gguf:{type_name}", "--progress", "none", code=1)
        assert "--imatrix" in refused.stderr and "blk.0.attn_q.weight" in refused.stderr


@pytest.mark.parametrize("config", [
    {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": True},
    {"load_in_8bit": True}], ids=["nf4", "fp4-dq", "int8"])
def test_precis_reads_what_transformers_saves(precis, pipelines, tmp_path, config):
    model = transformers.T5EncoderModel.from_pretrained(
        pipelines("sd3") / "text_encoder_3", device_map="cpu", dtype=torch.bfloat16,
        quantization_config=transformers.BitsAndBytesConfig(**config))
    model.save_pretrained(tmp_path / "saved")
    expect_equal(library_weights(model), decoded(precis, tmp_path / "saved", tmp_path / "float"), str(config))


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
def test_precis_reads_what_diffusers_saves_with_quanto(precis, pipelines, tmp_path, weights):
    model = diffusers.SD3Transformer2DModel.from_pretrained(
        pipelines("sd3") / "transformer", torch_dtype=torch.bfloat16,
        quantization_config=diffusers.QuantoConfig(weights_dtype=weights))
    model.save_pretrained(tmp_path / "saved")
    expect_equal(library_weights(model), decoded(precis, tmp_path / "saved", tmp_path / "float"), weights)


def test_precis_reads_what_gguf_writes(precis, tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    want = {}
    for kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.F16):
        data = gguf.quants.quantize(rng.standard_normal((8, 64), dtype=np.float32), kind)
        writer.add_tensor(f"{kind.name}.weight", data, raw_dtype=kind)
        want[f"{kind.name}.weight"] = gguf.quants.dequantize(data, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    precis("dequantize", file, "-o", tmp_path / "float.safetensors", "--dtype", "f32", "--progress", "none")
    got = load_file(tmp_path / "float.safetensors")
    for name, value in want.items():
        assert np.array_equal(got[name].float().numpy(), value), name


def test_the_same_float_weights_give_the_library_and_precis_the_same_bytes(precis, pipelines, tmp_path):
    source = pipelines("sd3") / "text_encoder_3"
    model = transformers.T5EncoderModel.from_pretrained(
        source, device_map="cpu", dtype=torch.bfloat16,
        quantization_config=transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"))
    model.save_pretrained(tmp_path / "saved")
    precis("quantize", source, "-o", tmp_path / "ours", "--type", "nf4", "--progress", "none")
    theirs, ours = (load_file(tmp_path / d / "model.safetensors") for d in ("saved", "ours"))
    packed = [name for name in ours if name.endswith(".absmax")]
    assert packed
    for name in packed:
        weight = name.removesuffix(".absmax")
        assert torch.equal(ours[name], theirs[name]), name
        assert torch.equal(ours[weight], theirs[weight]), weight


def test_inspect_names_the_method(precis, pipelines, tmp_path):
    out = tmp_path / "out"
    precis("quantize", pipelines("sd3"), "-o", out, "--component", "transformer=nf4", "--progress", "none")
    components = {c["name"]: c for c in precis.json("inspect", out)["components"]}
    assert components["transformer"]["method"] == "nf4"
    assert json.loads((out / "transformer" / "config.json").read_text())["quantization_config"]["load_in_4bit"] is True


def test_a_truncated_shard_is_an_error_and_leaves_nothing(precis, tmp_path):
    save_file({"layer.weight": torch.randn(64, 64)}, tmp_path / "model.safetensors")
    data = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data[:-100])
    result = precis("quantize", tmp_path, "-o", tmp_path / "out", "--type", "nf4", code=2)
    assert "layer.weight" in result.stderr
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()

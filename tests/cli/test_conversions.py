"""The dtypes of what is not quantized: dequantize gives one to all, convert and rules keep the source's."""
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def tensors_of(directory):
    """(component, name) -> tensor of a pipeline's weights."""
    tensors = {}
    for file in directory.glob("*/*.safetensors"):
        tensors.update({(file.parent.name, name): tensor for name, tensor in load_file(file).items()})
    return tensors


@pytest.mark.parametrize("dtype", DTYPES)
def test_dequantize_gives_every_number_its_dtype(precis, pipelines, tmp_path, dtype):
    quantized, out = tmp_path / "quantized", tmp_path / "out"
    precis("quantize", pipelines("sd3"), "-o", quantized, "--component", "transformer=nf4", "--progress", "none")
    precis("dequantize", quantized, "-o", out, "--dtype", dtype, "--progress", "none")
    source, decoded = tensors_of(pipelines("sd3")), tensors_of(out)
    assert decoded.keys() == source.keys()
    for name, tensor in decoded.items():
        assert tensor.dtype == (DTYPES[dtype] if source[name].is_floating_point() else source[name].dtype), name
        if name[0] != "transformer":
            torch.testing.assert_close(tensor, source[name].to(tensor.dtype), rtol=0, atol=0)
    config = json.loads((out / "text_encoder_3" / "config.json").read_text())
    assert config.get("dtype", config.get("torch_dtype")) == str(DTYPES[dtype]).removeprefix("torch.")


def test_dequantize_casts_a_float_model_too(precis, tmp_path):
    source = tmp_path / "model"
    source.mkdir()
    save_file({"a.weight": torch.ones(4, 4, dtype=torch.bfloat16), "b.bias": torch.ones(4), "ids": torch.arange(4)},
              source / "model.safetensors")
    precis("dequantize", source, "-o", tmp_path / "out", "--dtype", "f16", "--progress", "none")
    dtypes = {name: tensor.dtype for name, tensor in load_file(tmp_path / "out" / "model.safetensors").items()}
    assert dtypes == {"a.weight": torch.float16, "b.bias": torch.float16, "ids": torch.int64}


def test_a_cast_that_overflows_is_reported(precis, tmp_path):
    source = tmp_path / "model"
    source.mkdir()
    save_file({"a.weight": torch.tensor([[1.0, 1e30], [65504, 2]])}, source / "model.safetensors")
    result = precis("dequantize", source, "-o", tmp_path / "out", "--dtype", "f16", "--progress", "none")
    assert "'a.weight': 1 finite values decode to NaN or infinity: f16 cannot hold them" in result.stderr


def stored_types(path):
    from gguf import GGUFReader

    return {tensor.name: tensor.tensor_type.name for tensor in GGUFReader(path).tensors}


def test_convert_keeps_what_a_gguf_file_holds(precis, pipelines, tmp_path):
    source = pipelines("sd3") / "transformer"
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    precis("quantize", source, "-o", first, "--type", "q8_0", "--progress", "none")
    precis("convert", first, "-o", second, "--progress", "none")
    assert stored_types(second) == stored_types(first)
    assert all(t["relative_error"] == 0 for t in precis.json("compare", first, second)["tensors"])


def test_a_rule_for_some_weights_leaves_the_other_matrices_in_their_dtype(precis, pipelines, tmp_path):
    source, out = pipelines("sd3") / "transformer", tmp_path / "out.gguf"
    precis("quantize", source, "-o", out, "--rule", r"\.to_q\.=q8_0", "--progress", "none")
    types = stored_types(out)
    assert types["transformer_blocks.0.attn.to_q.weight"] == "Q8_0"
    assert types["transformer_blocks.0.attn.to_k.weight"] == "BF16"
    assert types["transformer_blocks.0.attn.to_k.bias"] == "F32"

"""Which weights a method gets, and what is said about the result."""
import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file


def quantized(plan):
    return sorted(t["name"] for t in plan["tensors"] if t["action"] == "quantize")


@pytest.mark.parametrize("method", ["nf4", "int8", "q8_0"])
def test_a_rule_that_also_finds_biases_means_the_weights(precis, pipelines, method):
    plan = precis.json("plan", pipelines("sd3"), "--rule", f"^transformer_blocks\\.0\\.attn={method}")
    names = quantized(plan)
    assert "transformer_blocks.0.attn.to_q.weight" in names
    assert all(name.endswith(".weight") for name in names)


def test_a_rule_that_finds_nothing_its_method_quantizes_is_an_error(precis, pipelines):
    for pattern in ("\\.bias$", "relative_attention_bias", "^transformer.pos_embed"):
        refused = precis("plan", pipelines("sd3"), "--rule", f"{pattern}=nf4", code=1)
        assert "that its method quantizes" in refused.stderr


def test_gguf_keeps_a_weight_whose_rows_fit_no_block(precis, tmp_path):
    rng = np.random.default_rng(0)
    save_file({"odd.weight": rng.standard_normal((64, 48), dtype=np.float32),
               "even.weight": rng.standard_normal((64, 256), dtype=np.float32)}, tmp_path / "model.safetensors")
    for name in ("q8_0", "iq4_xs", "q4_k"):
        run = precis("quantize", tmp_path / "model.safetensors", "-o", tmp_path / f"{name}.gguf", "--type", f"gguf:{name}",
                     "--progress", "none")
        assert "odd.weight is kept" in run.stderr and "in_features 48" in run.stderr
        types = {t.name: t.tensor_type.name for t in gguf.GGUFReader(tmp_path / f"{name}.gguf").tensors}
        assert types == {"odd.weight": "F32", "even.weight": name.upper()}
    precis("plan", tmp_path / "model.safetensors", "--type", "gguf:q8_0", "--skip", "odd")


def test_gguf_of_a_gguf_keeps_its_architecture(precis, tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "source.gguf", "llama")
    writer.add_block_count(1)
    writer.add_tensor("blk.0.ffn_up.weight", np.ones((32, 256), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    precis("quantize", tmp_path / "source.gguf", "-o", tmp_path / "out.gguf", "--type", "q4_k", "--progress", "none")
    fields = gguf.GGUFReader(tmp_path / "out.gguf").fields
    assert fields["general.architecture"].contents() == "llama" and fields["llama.block_count"].contents() == 1
    assert fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q4_K_S


@pytest.mark.parametrize("spec", ["qint4", "qint2"])
def test_grouped_quanto_weights_without_a_bias_are_read_back(precis, pipelines, tmp_path, spec):
    precis("quantize", pipelines("sd3"), "-o", tmp_path / "out", "--component", f"text_encoder_3={spec}", "--progress", "none")
    precis("dequantize", tmp_path / "out", "-o", tmp_path / "float", "--dtype", "f32", "--progress", "none")

    def shapes(model):
        return {t["name"]: t["shape"] for t in precis.json("inspect", model)["components"][0]["tensors"]}

    assert shapes(tmp_path / "float" / "text_encoder_3") == shapes(pipelines("sd3") / "text_encoder_3")


def test_what_a_library_cannot_load_as_usual_is_said(precis, pipelines):
    def warnings(*components):
        options = [part for component in components for part in ("--component", component)]
        return precis("plan", pipelines("sd3"), *options).stderr

    assert "from_single_file" in warnings("transformer=q8_0")
    assert "reads no saved quanto weights" in warnings("text_encoder_3=qint8")
    assert "diffusers has no quant_method 'eetq'" in warnings("transformer=eetq")
    assert warnings("transformer=nf4", "text_encoder_3=int8") == ""

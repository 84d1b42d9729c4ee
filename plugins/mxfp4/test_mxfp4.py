"""A small GPT-OSS that precis quantizes loads in transformers to the same values. On a CPU transformers decodes MXFP4 while
loading; its encoder runs on GPUs only, so that the codes are compared with the formula of its kernels."""
import json
import subprocess

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

VALUES = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6])


@pytest.fixture(scope="module")
def gpt_oss(tmp_path_factory):
    torch.manual_seed(4)
    config = transformers.GptOssConfig(vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                                       num_attention_heads=4, num_key_value_heads=2, head_dim=16, num_local_experts=3,
                                       num_experts_per_tok=2)
    out = tmp_path_factory.mktemp("gpt-oss")
    transformers.GptOssForCausalLM(config).to(torch.bfloat16).save_pretrained(out)
    return out


def encoded(weight):
    """Scales and codes of a weight [..., in_features]."""
    groups = weight.bfloat16().float().unflatten(-1, (-1, 32))
    scale = (groups.abs().amax(-1) / 6).view(torch.int32) + 0x7FFFFF >> 23
    number = groups / torch.where(scale == 0, torch.inf, torch.exp2(scale.float() - 127))[..., None]
    edges = torch.tensor([.25, .75, 1.25, 1.75, 2.5, 3.5, 5])
    codes = torch.bucketize(number.abs(), edges, right=True) + 8 * torch.signbit(number)
    return scale.to(torch.uint8), (codes[..., 0::2] + 16 * codes[..., 1::2]).to(torch.uint8)


def test_transformers_loads_the_same_values(gpt_oss, round_trip):
    out, want = round_trip(gpt_oss, {"quant_method": "mxfp4"})
    model, report = transformers.GptOssForCausalLM.from_pretrained(out, dtype=torch.bfloat16, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    state = model.state_dict()
    experts = [name for name in state if name.endswith(("gate_up_proj", "down_proj"))]
    assert len(experts) == 4
    for name in experts:
        assert torch.equal(state[name], want[name]), name
    source, stored = load_file(gpt_oss / "model.safetensors"), load_file(out / "model.safetensors")
    for name in experts:
        scales, blocks = encoded(source[name].transpose(1, 2))
        assert torch.equal(stored[name + "_scales"], scales), name
        assert torch.equal(stored[name + "_blocks"], blocks), name


def test_skipped_experts_are_listed(gpt_oss, precis, tmp_path):
    out = tmp_path / "out"
    precis("quantize", gpt_oss, "-o", out, "--type", "mxfp4-experts", "--skip", "layers.0.mlp.experts", "--progress", "none")
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert "model.layers.0.mlp.experts" in config["modules_to_not_convert"]
    stored = load_file(out / "model.safetensors")
    assert "model.layers.0.mlp.experts.down_proj" in stored
    assert "model.layers.1.mlp.experts.down_proj_blocks" in stored


BLOCKS, SCALES = torch.zeros(2, 24, 4, 16, dtype=torch.uint8), torch.zeros(2, 24, 4, dtype=torch.uint8)


@pytest.mark.parametrize("blocks, scales, message", [
    (BLOCKS, None, "down_proj_scales' is missing"),
    (BLOCKS, SCALES[:1], "has 96 elements"),
    (BLOCKS.int(), SCALES, "must be uint8"),
    (BLOCKS.flatten(2), SCALES, "must be [experts, out_features"),
    (BLOCKS[..., :8], SCALES, "must be [experts, out_features"),
])
def test_damaged_checkpoints_are_refused(tmp_path, precis, blocks, scales, message):
    model = tmp_path / "model"
    model.mkdir()
    tensors = {"a.experts.down_proj_blocks": blocks.contiguous()}
    if scales is not None:
        tensors["a.experts.down_proj_scales"] = scales.contiguous()
    save_file(tensors, model / "model.safetensors")
    (model / "config.json").write_text(json.dumps({"model_type": "gpt_oss", "quantization_config": {"quant_method": "mxfp4"}}))
    result = subprocess.run([precis.path, "dequantize", model, "-o", tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode > 0 and message in result.stderr, result.stderr

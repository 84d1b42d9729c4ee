"""AWQ checkpoints written by precis: every command reads them, the layouts hold the same weights, and GPTQModel's own
layer computes with them (its pure-Python part; where it is not installed, awq_test.cpp's recorded outputs stand)."""
import json

import pytest
import torch
from safetensors.torch import load_file

SIZE = 32


def config(version):
    return {"quant_method": "awq", "bits": 4, "group_size": SIZE, "version": version}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A model of Linear layers whose columns come in multiples of 64, which gemv_fast asks for."""
    from safetensors.torch import save_file

    directory = tmp_path_factory.mktemp("model")
    torch.manual_seed(3)
    save_file({f"layers.{i}.fc.weight": (torch.randn(64 + 32 * i, 128) * 0.05).half() for i in range(3)},
              directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "none", "architectures": ["None"]}))
    return directory


def test_the_layouts_hold_the_same_weights(source, round_trip):
    decoded = {}
    for version in ("gemm", "gemv", "gemv_fast", "llm-awq"):
        out, decoded[version] = round_trip(source, config(version), dtype="f32")
        names = {"gemv_fast": "qzeros", "llm-awq": "scaled_zeros"}
        stored = load_file(out / "model.safetensors")
        assert "layers.0.fc." + names.get(version, "qzeros") in stored
    for name, weight in decoded["gemm"].items():
        assert torch.equal(decoded["gemv"][name], weight), name
        # code * scale + zero rounds the zero point's product by itself.
        assert torch.allclose(decoded["gemv_fast"][name], weight, atol=1e-3, rtol=0), name
        assert torch.equal(decoded["gemv_fast"][name], decoded["llm-awq"][name]), name


def test_gptqmodel_computes_with_gemm(source, round_trip):
    torch_awq = pytest.importorskip("gptqmodel.nn_modules.qlinear.torch_awq")
    out, decoded = round_trip(source, config("gemm"), dtype="f16")
    stored = load_file(out / "model.safetensors")
    for name, weight in decoded.items():
        module = name.removesuffix(".weight")
        rows, columns = weight.shape
        layer = torch_awq.AwqTorchLinear(bits=4, group_size=SIZE, sym=False, desc_act=False, in_features=columns,
                                         out_features=rows, bias=False, register_buffers=True)
        layer.load_state_dict({part: stored[f"{module}.{part}"] for part in ("qweight", "qzeros", "scales")})
        layer.post_init()
        layer.train(False)
        with torch.inference_mode():
            assert torch.equal(layer(torch.eye(columns, dtype=torch.float16)).T, weight), name

"""examples/ built by find_package(precis) from an installation, and what they print."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "build/bin/precis-networks").exists(), reason="built without LibTorch")


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    prefix, build = (tmp_path_factory.mktemp(name) for name in ("prefix", "examples"))
    run("cmake", "--install", ROOT / "build", "--prefix", prefix)
    run("cmake", "-S", ROOT / "examples", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    return build


def test_own_modules(examples):
    lines = run(examples / "own_modules").splitlines()
    assert [line.split()[0] for line in lines] == ["fc1", "fc2", "head", "relative"]


def test_mix_methods(examples, pipelines, tmp_path):
    lines = run(examples / "mix_methods", pipelines("sd3"), tmp_path / "image.png").splitlines()
    assert any("gguf:q8_0, nf4" in line for line in lines) and any("qint8" in line for line in lines)
    assert (tmp_path / "image.png").read_bytes().startswith(b"\x89PNG")


def test_load_quantized(examples, precis, pipelines, tmp_path):
    import torch
    from transformers import T5EncoderModel

    precis("quantize", pipelines("sd3"), "-o", tmp_path / "out", "--component", "text_encoder_3=nf4", "--progress", "none")
    text = run(examples / "load_quantized", tmp_path / "out" / "text_encoder_3")
    assert "T5EncoderModel, nf4" in text
    model = T5EncoderModel.from_pretrained(tmp_path / "out" / "text_encoder_3", device_map="cpu", dtype=torch.float32)
    with torch.inference_mode():
        want = model(torch.arange(8)[None]).last_hidden_state.float().norm().item()
    # bitsandbytes hands its layers' results on in the bfloat16 of the stored weights, the example in float32.
    assert float(text.split()[-1]) == pytest.approx(want, rel=5e-3)

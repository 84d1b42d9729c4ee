"""What verify finds: a lost config, another source, kept weights that changed, parts that are missing."""
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

VERIFICATION = 6


@pytest.fixture(scope="module")
def written(precis, pipelines, tmp_path_factory):
    """A pipeline with an nf4 transformer."""
    out = tmp_path_factory.mktemp("written") / "out"
    precis("quantize", pipelines("sd3"), "-o", out, "--component", "transformer=nf4", "--progress", "none")
    return out


@pytest.fixture
def result(written, tmp_path):
    """A copy of it that a test may damage."""
    shutil.copytree(written, tmp_path / "out")
    return tmp_path / "out"


def test_what_was_written_is_right(precis, written, pipelines):
    assert precis.json("verify", written)["ok"]
    assert precis.json("verify", written, "--source", pipelines("sd3"))["ok"]


def test_a_config_that_lost_its_quantization(precis, result):
    config = result / "transformer" / "config.json"
    config.write_text("{}")
    error = precis("verify", result, code=VERIFICATION).stderr
    assert "transformer/config.json has lost the quantization_config" in error and "nf4" in error
    config.unlink()
    assert "transformer/config.json is missing" in precis("verify", result, code=VERIFICATION).stderr


def test_a_config_that_says_something_else(precis, result):
    path = result / "transformer" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config))
    precis("verify", result)
    config["quantization_config"]["bnb_4bit_quant_type"] = "fp4"
    path.write_text(json.dumps(config))
    assert "not the one that was written" in precis("verify", result, code=VERIFICATION).stderr


def test_the_config_of_a_kept_component_counts_too(precis, result):
    (result / "vae" / "config.json").write_text("{}")
    assert "vae/config.json" in precis("verify", result, code=VERIFICATION).stderr


def test_a_component_that_is_gone(precis, result):
    shutil.rmtree(result / "transformer")
    assert "transformer" in precis("verify", result, code=VERIFICATION).stderr


def test_a_component_without_its_weights(precis, result):
    for file in (result / "vae").glob("*.safetensors"):
        file.unlink()
    assert "component vae" in precis("verify", result, code=VERIFICATION).stderr


def model(directory, seed, tensors=("layer.weight",)):
    directory.mkdir()
    rng = np.random.default_rng(seed)
    save_file({name: rng.standard_normal((64, 64), dtype=np.float32) for name in tensors}, directory / "model.safetensors")
    return directory


def test_another_source_of_the_same_shapes(precis, tmp_path):
    source, other, out = model(tmp_path / "source", 0), model(tmp_path / "other", 1), tmp_path / "out"
    precis("quantize", source, "-o", out, "--type", "nf4", "--progress", "none")
    assert "another source" in precis("verify", out, "--source", other, code=VERIFICATION).stderr
    shutil.copytree(source, tmp_path / "copy")
    precis("verify", out, "--source", tmp_path / "copy")


def test_a_kept_weight_that_differs_from_the_source(precis, tmp_path):
    source, out = model(tmp_path / "source", 0, ("layer.weight", "kept.weight")), tmp_path / "out"
    precis("quantize", source, "-o", out, "--type", "nf4", "--skip", "kept", "--progress", "none")
    tensors = load_file(source / "model.safetensors")
    # Behind what is sampled.
    tensors["kept.weight"][-1, -1] += 1
    save_file(tensors, source / "model.safetensors")
    assert "'kept.weight' was kept, but is not the one of the source" in precis(
        "verify", out, "--source", source, code=VERIFICATION).stderr


def test_a_file_taken_from_its_directory_is_not_called_decoded(precis, written):
    report = precis.json("verify", written / "transformer" / "diffusion_pytorch_model.safetensors")
    assert report["ok"] and report["undecoded_tensors"] > 0
    assert "config.json" in report["notes"][0]
    assert "were not decoded" in precis("verify", written / "transformer" / "diffusion_pytorch_model.safetensors").stdout

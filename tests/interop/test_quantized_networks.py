"""Quantized networks in C++ compute what the Python libraries' quantized networks compute: whole images, each component
loaded by both from the same directory."""
import diffusers
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, GGUFQuantizationConfig
from diffusers.quantizers.bitsandbytes import bnb_quantizer
from PIL import Image

# diffusers refuses bitsandbytes on a machine without a GPU; its loading code itself runs on a CPU.
for quantizer in (bnb_quantizer.BnB4BitDiffusersQuantizer, bnb_quantizer.BnB8BitDiffusersQuantizer):
    quantizer.validate_environment = lambda self, *args, **kwargs: None

COMMON = dict(num_inference_steps=4, height=64, width=64, max_sequence_length=32)
PROMPT = "A lighthouse at dusk, oil on canvas"


@pytest.fixture(scope="module")
def sd3(tmp_path_factory):
    import subprocess
    import sys
    from pathlib import Path

    out = tmp_path_factory.mktemp("sd3")
    maker = Path(__file__).resolve().parents[1] / "models/make_pipelines.py"
    subprocess.run([sys.executable, maker, out, "--family", "sd3"], check=True, capture_output=True)
    return out / "sd3-tiny-f32"


def precis_image(precis, directory, out, *options):
    precis("generate", directory, "--prompt", PROMPT, "--steps", 4, "--seed", 7, "--height", 64, "--width", 64,
           "--max-sequence-length", 32, "-o", out, *options)
    return np.asarray(Image.open(out)).astype(int)


def library_image(directory, **components):
    pipe = DiffusionPipeline.from_pretrained(directory, torch_dtype=torch.float32, **components)
    pipe.set_progress_bar_config(disable=True)
    image = pipe(PROMPT, generator=torch.Generator("cpu").manual_seed(7), **COMMON).images[0]
    return np.asarray(image).astype(int)


def load_transformer(out):
    kind = diffusers.SD3Transformer2DModel
    gguf = out / "transformer" / "diffusion_pytorch_model.gguf"
    if gguf.exists():
        return kind.from_single_file(str(gguf), config=str(out / "transformer"), torch_dtype=torch.float32,
                                     quantization_config=GGUFQuantizationConfig(compute_dtype=torch.float32))
    return kind.from_pretrained(out / "transformer", device_map="cpu", torch_dtype=torch.float32)


def images(precis, sd3, tmp_path, method, *options):
    """The image of precis and that of diffusers, from one directory whose transformer is quantized."""
    out = tmp_path / "out"
    precis("quantize", sd3, "-o", out, "--component", f"transformer={method}", "--progress", "none")
    got = precis_image(precis, out, tmp_path / "image.png", *options)
    # The float components from the source: diffusers would put those beside a quantized one on a GPU.
    want = library_image(sd3, transformer=load_transformer(out))
    return got, want


@pytest.mark.parametrize("method", ["qint8", "qint4", "qint2", "qfloat8", "gguf:q8_0", "gguf:q4_0", "gguf:iq4_nl"])
def test_a_quantized_transformer_gives_the_librarys_image(precis, sd3, tmp_path, method):
    got, want = images(precis, sd3, tmp_path, method)
    # A value on the edge between two numbers of 8 bits may fall to either side.
    assert np.abs(got - want).max() <= 1


@pytest.mark.parametrize("method", ["nf4", "nf4-dq", "fp4"])
def test_four_bits_of_bitsandbytes(precis, sd3, tmp_path, method):
    got, want = images(precis, sd3, tmp_path, method)
    # bitsandbytes' own product on a CPU is off from that of the weights it decodes by as much.
    assert np.abs(got - want).max() <= 4 and psnr(got, want) > 50
    precis("dequantize", tmp_path / "out", "-o", tmp_path / "decoded", "--dtype", "f32", "--progress", "none")
    assert np.abs(got - library_image(tmp_path / "decoded")).max() <= 1


def test_int8_rounds_activations_as_bitsandbytes_does(precis, sd3, tmp_path):
    got, want = images(precis, sd3, tmp_path, "int8")
    # An activation on the edge between two codes falls to either side by the order of float sums before it, which
    # moves whole rows by half a code: near, not equal.
    assert psnr(got, want) > 50


def test_fast_products_of_gguf_are_near(precis, sd3, tmp_path):
    got, want = images(precis, sd3, tmp_path, "gguf:q8_0", "--fast")
    assert np.abs(got - want).max() > 1, "the fast product is not used"
    assert psnr(got, want) > 35


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-12, ((a - b) ** 2).mean()))

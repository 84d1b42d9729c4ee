"""Transformers calibrated by making images: the inputs are those of diffusers, less is lost than by rounding, a killed run goes on."""
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

PROMPTS = ["a red fox in the snow", "a green hill in the rain", "birds over a river", "an old stone bridge",
           "two cats in a boat", "the moon behind a tower"]
BAD_USE, UNREADABLE = 1, 2
STEPS = 6
PIXELS = 64  # what the tiny networks are made for


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(PROMPTS) + "\n")
    return file


@pytest.fixture(scope="module")
def diffusers_pipeline(pipelines):
    from diffusers import DiffusionPipeline

    made = {}

    def make(family):
        if family not in made:
            made[family] = DiffusionPipeline.from_pretrained(pipelines(family), torch_dtype=torch.float32)
            made[family].set_progress_bar_config(disable=True)
        return made[family]

    return make


def calls_of(pipeline, prompt, seed):
    """What reaches the transformer at each step of an image."""
    calls = []
    handle = pipeline.transformer.register_forward_pre_hook(lambda _, args, kwargs: calls.append((args, dict(kwargs))), with_kwargs=True)
    options = {"use_resolution_binning": False} if "PixArt" in type(pipeline).__name__ else {}
    with torch.inference_mode():
        pipeline(prompt, num_inference_steps=STEPS, generator=torch.Generator().manual_seed(seed), output_type="latent",
                 height=PIXELS, width=PIXELS, **options)
    handle.remove()
    return calls


@torch.inference_mode()
def outputs(transformer, calls):
    return [transformer(*args, **kwargs)[0] for args, kwargs in calls]


def lost(got, want):
    return sum(((a - b) ** 2).sum() for a, b in zip(got, want)).item() / sum((b ** 2).sum() for b in want).item()


@pytest.fixture
def decoded(precis, tmp_path):
    def run(source, spec, *options, name="out"):
        out, numbers = tmp_path / name, tmp_path / f"{name}-decoded"
        precis("quantize", source, "-o", out, "--component", f"transformer={spec}", "--progress", "none", *options)
        precis("verify", out)
        precis("dequantize", out, "-o", numbers, "--dtype", "f32", "--progress", "none")
        return load_file(numbers / "transformer" / "diffusion_pytorch_model.safetensors")

    return run


CASES = [(family, spec) for family in ("sd3", "sd35", "flux", "pixart", "auraflow")
         for spec in ("gptq:bits=4,group_size=32", "gptq:bits=3,group_size=32", "awq:bits=4,group_size=32")]


@pytest.mark.parametrize("family, spec", CASES)
def test_calibration_loses_less_than_rounding(diffusers_pipeline, pipelines, decoded, prompts, family, spec):
    pipeline = diffusers_pipeline(family)
    calls = [call for seed in (1001, 1002) for call in calls_of(pipeline, "a lighthouse at night", seed)]
    float_weights = {name: value.clone() for name, value in pipeline.transformer.state_dict().items()}
    want = outputs(pipeline.transformer, calls)
    losses = []
    sizes = ("--height", PIXELS, "--width", PIXELS)
    for name, options in ("calibrated", ("--calibration", prompts, "--steps", STEPS, *sizes)), ("rounded", ()):
        pipeline.transformer.load_state_dict(decoded(pipelines(family), spec, *map(str, options), name=name))
        losses.append(lost(outputs(pipeline.transformer, calls), want))
    pipeline.transformer.load_state_dict(float_weights)
    print(f"{family} {spec}: calibrated {losses[0]:.5f}, rounded {losses[1]:.5f}")
    assert losses[0] < losses[1]


LAYERS = {"sd3": "transformer_blocks.1.attn.to_q", "flux": "single_transformer_blocks.0.proj_mlp",
          "pixart": "transformer_blocks.1.attn2.to_k", "auraflow": "single_transformer_blocks.0.ff.linear_1"}


@pytest.mark.parametrize("family", LAYERS)
def test_the_recorded_inputs_are_those_of_diffusers(precis, diffusers_pipeline, pipelines, prompts, tmp_path, family):
    import gguf

    file = tmp_path / "imatrix.gguf"
    report = precis.json("calibrate", pipelines(family), "--calibration", prompts, "--samples", "2", "--steps", str(STEPS),
                         "--recorded-steps", str(STEPS), "--seed", "7", "--height", str(PIXELS), "--width", str(PIXELS),
                         "-o", file)
    assert report["texts"] == 2 and report["recorded_steps"] == 2 * STEPS and not (tmp_path / "imatrix.gguf.calibration").exists()
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(file).tensors}
    pipeline = diffusers_pipeline(family)
    sums, rows = 0, 0

    def add(_, inputs):
        nonlocal sums, rows
        x = inputs[0].flatten(0, -2).double()
        sums, rows = sums + (x ** 2).sum(0), rows + len(x)

    handle = pipeline.transformer.get_submodule(LAYERS[family]).register_forward_pre_hook(add)
    for index, prompt in enumerate(PROMPTS[:2]):
        calls_of(pipeline, prompt, 7 + index)
    handle.remove()
    assert tensors[f"{LAYERS[family]}.weight.counts"].item() == rows
    np.testing.assert_allclose(tensors[f"{LAYERS[family]}.weight.in_sum2"].flatten(), sums.numpy(), rtol=2e-3)
    output = {name for name in tensors if "norm_out" in name or "proj_out.weight" in name}
    assert output, "the layers behind the blocks are in the matrix too"
    precis("quantize", pipelines(family), "-o", tmp_path / "out", "--component", "transformer=q4_0", "--imatrix", file, "--progress", "none")


def weights_of(directory):
    return load_file(directory / "transformer" / "diffusion_pytorch_model.safetensors")


def assert_same_weights(got, want):
    assert weights_of(got).keys() == weights_of(want).keys()
    for name, value in weights_of(want).items():
        assert torch.equal(weights_of(got)[name], value), name


@pytest.mark.parametrize("stage", ["transformer.inputs", "transformer"])
def test_a_killed_run_goes_on_behind_its_last_prompt_or_layer(precis, pipelines, prompts, tmp_path, stage):
    def command(out):
        return [precis.path, "quantize", pipelines("sd3"), "-o", out, "--component", "transformer=gptq:bits=4,group_size=32",
                "--calibration", prompts, "--steps", str(STEPS), "--progress", "plain"]

    whole, killed, store = tmp_path / "whole", tmp_path / "killed", tmp_path / "killed.calibration"
    subprocess.run(command(whole), check=True, capture_output=True)
    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (store / f"{stage}.000001.safetensors").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists() and store.exists()
    kept = {file: file.stat().st_mtime_ns for file in store.glob("transformer.inputs.*.safetensors")}
    again = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    first = again.stderr.readline(), again.stderr.readline()
    assert all(not file.exists() or file.stat().st_mtime_ns == time_of for file, time_of in kept.items()), first
    rest = again.communicate()[1]
    assert again.returncode == 0 and ("(done before)" in rest) == (stage == "transformer")
    assert not store.exists()
    assert_same_weights(killed, whole)


def test_activations_beyond_the_limit_lie_in_files(precis, pipelines, prompts, tmp_path):
    def run(name, *options):
        precis("quantize", pipelines("flux"), "-o", tmp_path / name, "--component", "transformer=gptq:bits=4,group_size=32",
               "--calibration", prompts, "--steps", str(STEPS), "--progress", "none", *options)
        return tmp_path / name

    assert_same_weights(run("small", "--max-memory", "1MiB"), run("large"))


def test_text_encoders_and_transformer_are_calibrated_together(precis, pipelines, prompts, tmp_path):
    specs = {"text_encoder": "awq:bits=4,group_size=32", "text_encoder_3": "gptq:bits=4,group_size=32", "transformer": "gptq:bits=4,group_size=32"}
    components = [word for name, spec in specs.items() for word in ("--component", f"{name}={spec}")]
    out = tmp_path / "out"
    run = precis("quantize", pipelines("sd3"), "-o", out, *components, "--calibration", prompts, "--steps", "2", "--progress", "plain")
    for layer in ("text_model.encoder.layers.1.mlp.fc1", "encoder.block.1.layer.0.SelfAttention.q", "transformer_blocks.1.attn.to_q"):
        assert f"{layer}.weight  output error" in run.stderr
    precis("verify", out)
    alone = tmp_path / "alone"
    precis("quantize", pipelines("sd3") / "text_encoder_3", "-o", alone, "--type", specs["text_encoder_3"], "--calibration", prompts, "--progress", "none")
    for name, value in load_file(alone / "model.safetensors").items():
        assert torch.equal(load_file(out / "text_encoder_3" / "model.safetensors")[name], value), name


GPTQ = ("--component", "transformer=gptq:bits=4,group_size=32")


@pytest.mark.parametrize("options, words", [
    ((*GPTQ, "--steps", "4"), "--calibration"),
    ((*GPTQ, "--calibration", "PROMPTS", "--height", "33"), "multiples of 16"),
    ((*GPTQ, "--calibration", "PROMPTS", "--steps", "0"), "steps"),
    (("--component", "text_encoder_3=gptq:bits=4,group_size=32", "--calibration", "PROMPTS", "--steps", "4"), "--steps: no image is made"),
    (("--component", "transformer=int8", "--calibration", "PROMPTS"), "nothing that is quantized can be calibrated")])
def test_what_does_not_fit_is_refused_before_anything_runs(precis, pipelines, prompts, tmp_path, options, words):
    options = [str(prompts) if word == "PROMPTS" else word for word in options]
    result = precis("quantize", pipelines("sd3"), "-o", tmp_path / "out", *options, code=BAD_USE)
    assert words in result.stderr and "recorded" not in result.stderr
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.calibration").exists()


def test_a_pipeline_that_cannot_be_run_is_named(precis, pipelines, prompts, tmp_path):
    import shutil

    source = tmp_path / "source"
    shutil.copytree(pipelines("sd3"), source)
    index = source / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusion3Pipeline", "OtherPipeline"))
    assert "OtherPipeline" in precis("quantize", source, "-o", tmp_path / "out", *GPTQ, "--calibration", prompts, code=UNREADABLE).stderr
    assert "OtherPipeline" in precis("calibrate", source, "-o", tmp_path / "matrix.gguf", "--calibration", prompts, code=UNREADABLE).stderr


def test_where_no_file_can_be_written_shows_before_the_network_is_loaded(precis, pipelines, prompts, tmp_path):
    (tmp_path / "folder").mkdir()
    for place in "folder", "folder/":
        result = precis("calibrate", pipelines("sd3"), "-o", f"{tmp_path}/{place}", "--calibration", prompts, code=UNREADABLE)
        assert "folder" in result.stderr and "recorded" not in result.stderr

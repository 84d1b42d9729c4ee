"""Fixtures of the Python tests: a small real pipeline, and the precis command."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PRECIS = ROOT / "build" / "bin" / "precis"

# CMake's own choice is make, which ./bootstrap does not need.
if shutil.which("make") is None:
    os.environ.setdefault("CMAKE_GENERATOR", "Ninja")


class Precis:
    """Runs the command; raises with its messages when it fails."""

    path = PRECIS

    def __call__(self, *args, code=0):
        result = subprocess.run([str(PRECIS), *map(str, args)], capture_output=True, text=True)
        assert result.returncode == code, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    def json(self, *args):
        return json.loads(self(*args, "--json").stdout)


@pytest.fixture(scope="session")
def precis():
    return Precis()


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory):
    """family -> directory of a tiny pipeline in bfloat16."""
    out = tmp_path_factory.mktemp("pipelines")
    made = {}

    def make(family):
        if family not in made:
            subprocess.run([sys.executable, ROOT / "tests/models/make_pipelines.py", out, "--family", family,
                            "--size", "tiny", "--dtype", "bf16"], check=True, capture_output=True)
            made[family] = out / f"{family}-tiny-bf16"
        return made[family]

    return make


@pytest.fixture
def round_trip(precis, tmp_path):
    """Quantizes a model's directory, with every command that reads the result run over it; gives the
    result's directory and its weights as precis decodes them."""
    def run(source, config, dtype="bf16"):
        from safetensors.torch import load_file

        runs = len(list(tmp_path.glob("out*")))
        out, decoded = tmp_path / f"out{runs}", tmp_path / f"decoded{runs}"
        precis("quantize", source, "-o", out, "--type", json.dumps(config), "--progress", "none")
        precis("verify", out, "--source", source)
        precis("compare", source, out)
        assert precis.json("inspect", out)["components"][0]["method"], "nothing is quantized"
        precis("dequantize", out, "-o", decoded, "--dtype", dtype, "--progress", "none")
        tensors = {}
        for file in decoded.glob("*.safetensors"):
            tensors.update(load_file(file))
        return out, tensors

    return run


@pytest.fixture
def recorded(precis, tmp_path):
    """recorded(file, config, **changed): a checkpoint of one module `layer` with a recorded case's tensors, decoded by
    precis to the case's dtype; gives what it decoded and what the library did. changed: tensors in place of others, None
    for none."""
    def run(path, config, code=0, **changed):
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        stored = {name.removeprefix("expected."): tensor for name, tensor in tensors.items() if name.startswith("expected.")}
        stored = {name: tensor for name, tensor in (stored | changed).items() if tensor is not None}
        model = tmp_path / f"model{len(list(tmp_path.iterdir()))}"
        model.mkdir()
        save_file({f"layer.{name}": tensor.contiguous() for name, tensor in stored.items()}, model / "model.safetensors")
        (model / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
        want = tensors["dequantized.weight"]
        dtype = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}[str(want.dtype)[6:]]
        out = model.with_name(model.name + "-decoded")
        result = precis("dequantize", model, "-o", out, "--dtype", dtype, "--progress", "none", code=code)
        return (load_file(out / "model.safetensors"), want) if code == 0 else result.stderr

    return run

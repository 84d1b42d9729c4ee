"""quantize, calibrate, freeze, save and load in C++ against optimum-quanto on the same weights and batches."""
import json
import pathlib
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file

optimum_quanto = pytest.importorskip("optimum.quanto")
ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/tests/quanto_verbs"
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="built without LibTorch")


class Perceptron(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = torch.nn.Linear(64, 256), torch.nn.Linear(256, 64)

    def forward(self, x):
        return self.fc2(torch.nn.functional.silu(self.fc1(x)))


@pytest.fixture
def case(tmp_path):
    torch.manual_seed(3)
    model = Perceptron().eval().requires_grad_(False)
    batches = [torch.randn(5, 64) * (1 + i) for i in range(3)]
    (tmp_path / "float").mkdir()
    save_file(model.state_dict(), tmp_path / "float" / "model.safetensors")
    (tmp_path / "float" / "config.json").write_text("{}")
    save_file({f"x.{i}": batch for i, batch in enumerate(batches)}, tmp_path / "batches.safetensors")
    return tmp_path, model, batches


@pytest.mark.parametrize("weights, activations", [("qint8", "qint8"), ("qint8", "qfloat8"), ("qint4", "qint8"), ("qfloat8", "qfloat8"),
                                                  ("qint2", "none")])
def test_the_librarys_verbs(case, weights, activations):
    directory, model, batches = case
    subprocess.run([PROGRAM, directory, weights, activations], check=True)
    quanto = optimum_quanto
    quanto.quantize(model, weights=weights, activations=None if activations == "none" else activations)
    if activations != "none":
        # Without streamlining, which is not saved: outputs are rounded as in a model that was loaded.
        with quanto.Calibration(streamline=False):
            for batch in batches:
                model(batch)
    quanto.freeze(model)
    want, outputs = model(batches[0]), load_file(directory / "outputs.safetensors")
    want = want.dequantize() if isinstance(want, quanto.QTensor) else want
    step = model.fc2.output_scale.item() if activations == "qint8" else want.abs().max().item() / 16
    # A sum on the edge between two codes may fall to either side: one step of the output.
    off = (outputs["frozen"] - want).abs()
    assert off.max() <= (1.01 * step if activations != "none" else 1e-5) and (off > 1e-5).float().mean() < 0.02
    assert torch.equal(outputs["frozen"], outputs["reloaded"])

    saved = load_file(directory / "saved" / "model.safetensors")
    for name, tensor in model.state_dict().items():
        if name.endswith("_scale") and "weight" not in name:
            assert torch.allclose(saved[name], tensor, rtol=1e-6), name
        else:
            assert torch.equal(saved[name], tensor), name

    again = Perceptron().eval()
    quanto.requantize(again, saved, json.loads((directory / "saved" / "quantization_map.json").read_text()))
    got = again(batches[0])
    got = got.dequantize() if isinstance(got, quanto.QTensor) else got
    assert (got - want).abs().max() <= (1.01 * step if activations != "none" else 1e-5)

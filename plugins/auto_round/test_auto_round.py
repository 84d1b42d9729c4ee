"""Whole checkpoints in auto-round's packings: modules with schemes of their own, and tensors that contradict each other.
What its own layers make of a weight is in auto_round_test.cpp's recorded outputs."""
import json
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file

ROWS, COLUMNS, GROUP = 32, 64, 32


def module(bits, **changed):
    """A weight whose codes all are 1, zero points 2 (stored less one), scales -0.5."""
    fields = 32 // bits
    codes, zeros = (sum(value << bits * i for i in range(fields)) for value in (1, 1))
    made = {"qweight": torch.full((COLUMNS * bits // 32, ROWS), codes, dtype=torch.int32),
            "qzeros": torch.full((COLUMNS // GROUP, ROWS * bits // 32), zeros, dtype=torch.int32),
            "scales": torch.full((COLUMNS // GROUP, ROWS), -0.5, dtype=torch.float16)}
    return {key: value for key, value in (made | changed).items() if value is not None}


def checkpoint(directory, modules, **config):
    directory.mkdir()
    save_file({f"{name}.{key}": value for name, tensors in modules.items() for key, value in tensors.items()},
              directory / "model.safetensors")
    config = {"quant_method": "auto-round", "bits": 4, "group_size": GROUP, "sym": True,
              "packing_format": "auto_round:auto_gptq", **config}
    (directory / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
    return directory


def test_modules_have_schemes_of_their_own(tmp_path, precis):
    model = checkpoint(tmp_path / "model", {"a": module(4), "b.gate": module(8), "c": module(2)},
                       extra_config={"c": {"bits": 2}, "gate": {"bits": 8}})
    precis("dequantize", model, "-o", tmp_path / "out", "--dtype", "f32", "--progress", "none")
    decoded = load_file(tmp_path / "out" / "model.safetensors")
    assert set(decoded) == {"a.weight", "b.gate.weight", "c.weight"}
    for name, weight in decoded.items():
        assert torch.equal(weight, torch.full((ROWS, COLUMNS), 0.5)), name  # -0.5 * (1 - 2)


def test_it_is_not_written(tmp_path, precis):
    (tmp_path / "model").mkdir()
    save_file({"a.weight": torch.randn(32, 64)}, tmp_path / "model" / "model.safetensors")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "none"}')
    answer = precis("plan", tmp_path / "model", "--type", '{"quant_method": "auto-round"}', code=1)
    assert "needs calibration data" in answer.stderr


@pytest.mark.parametrize("changed, config, message", [
    ({"qzeros": None}, {}, "qzeros' is missing"),
    ({"scales": torch.ones(1, ROWS, dtype=torch.float16)}, {}, "scales' has 32 elements"),
    ({"qweight": torch.zeros(8, dtype=torch.int32)}, {}, "dimensions"),
    ({"qweight": torch.zeros(7, ROWS, dtype=torch.int32)}, {}, "has 224 elements"),
    ({"g_idx": torch.full((COLUMNS,), 9, dtype=torch.int32)}, {}, "g_idx names group 9 of 2"),
    ({}, {"group_size": 2**62}, "elements"),
    ({}, {"packing_format": "auto_round:fp8_static"}, "is not read"),
    ({}, {"rotation_config": {"hadamard": True}}, "rotation_config"),
    ({}, {"extra_config": {"(": {"bits": 4}}}, "is not a regular expression"),
    ({}, {"extra_config": {"a": {"bits": 0}}}, "2 to 8 bits"),
])
def test_damaged_checkpoints_are_refused(tmp_path, precis, changed, config, message):
    model = checkpoint(tmp_path / "model", {"a": module(4, **changed)}, **config)
    result = subprocess.run([precis.path, "dequantize", model, "-o", tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode > 0 and message in result.stderr, result.stderr

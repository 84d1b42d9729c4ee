"""Checkpoints in AMD Quark's form that contradict themselves are refused; patterns give layers a config of their own. What
Quark itself makes of a weight is in quark_test.cpp's recorded outputs."""
import json
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file

FP8 = {"dtype": "fp8_e4m3", "qscheme": "per_tensor", "symmetric": True}
FP4 = {"dtype": "fp4", "qscheme": "per_group", "group_size": 32, "ch_axis": -1, "scale_format": "e8m0"}
ROWS, COLUMNS = 8, 64


def float8(**changed):
    made = {"weight": torch.ones(ROWS, COLUMNS).to(torch.float8_e4m3fn), "weight_scale": torch.tensor(0.5)}
    return {key: value for key, value in (made | changed).items() if value is not None}


def float4(**changed):
    made = {"weight": torch.full((ROWS, COLUMNS // 2), 0x22, dtype=torch.uint8),
            "weight_scale": torch.full((ROWS, COLUMNS // 32), 126, dtype=torch.uint8)}
    return {key: value for key, value in (made | changed).items() if value is not None}


def checkpoint(directory, modules, **config):
    directory.mkdir()
    save_file({f"{name}.{key}": value for name, tensors in modules.items() for key, value in tensors.items()},
              directory / "model.safetensors")
    config = {"quant_method": "quark", "exclude": ["lm_head"], **config}
    (directory / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
    return directory


def test_layers_have_configs_of_their_own(tmp_path, precis):
    model = checkpoint(tmp_path / "model", {"layers.0.up": float4(), "layers.0.down": float8(input_scale=torch.tensor(1.0))},
                       global_quant_config={"weight": FP4}, layer_quant_config={"*.down": {"weight": FP8}})
    precis("dequantize", model, "-o", tmp_path / "out", "--dtype", "f32", "--progress", "none")
    decoded = load_file(tmp_path / "out" / "model.safetensors")
    assert set(decoded) == {"layers.0.up.weight", "layers.0.down.weight"}
    for weight in decoded.values():
        assert torch.equal(weight, torch.full((ROWS, COLUMNS), 0.5))


@pytest.mark.parametrize("tensors, weight, message", [
    (float8(weight_scale=torch.ones(3)), FP8, "weight_scale' has 3 elements"),
    (float8(weight=torch.ones(4).to(torch.float8_e4m3fn)), FP8, "dimensions"),
    (float8(weight=torch.ones(ROWS, COLUMNS, dtype=torch.int8)), FP8, "wrong dtype"),
    (float4(weight_scale=torch.ones(ROWS, 1, dtype=torch.uint8)), FP4, "weight_scale' has 8 elements"),
    (float4(), FP4 | {"group_size": 0}, "are not read"),
    (float4(), FP4 | {"group_size": 2**62}, "multiple of group_size"),
    (float8(), {"dtype": "uint4", "qscheme": "per_group"}, "are not read"),
    (float8(), [FP8, FP8], "are not read"),
])
def test_damaged_checkpoints_are_refused(tmp_path, precis, tensors, weight, message):
    model = checkpoint(tmp_path / "model", {"a": tensors}, global_quant_config={"weight": weight})
    result = subprocess.run([precis.path, "dequantize", model, "-o", tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode > 0 and message in result.stderr, result.stderr

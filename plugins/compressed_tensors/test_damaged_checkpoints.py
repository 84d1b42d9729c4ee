"""Checkpoints whose tensors contradict each other, or whose config is absurd: an error that names what is wrong."""
import json
import subprocess

import pytest
import torch
from safetensors.torch import save_file

GROUPS = {"num_bits": 4, "strategy": "group", "group_size": 32}
ROWS, COLUMNS = 8, 64


def tensors(**changed):
    made = {"weight_packed": torch.zeros(ROWS, COLUMNS // 8, dtype=torch.int32),
            "weight_scale": torch.ones(ROWS, 2),
            "weight_shape": torch.tensor([ROWS, COLUMNS])}
    return {f"a.{key}": value for key, value in (made | changed).items() if value is not None}


def masked(**changed):
    made = {"compressed": torch.ones(ROWS, COLUMNS // 2), "bitmask": torch.full((ROWS, COLUMNS // 8), 0x33, dtype=torch.uint8),
            "shape": torch.tensor([[ROWS], [COLUMNS]])}
    return {f"a.{key}": value for key, value in (made | changed).items() if value is not None}


def group(**weights):
    return {"config_groups": {"group_0": {"targets": ["Linear"], "weights": {**GROUPS, **weights}}}}


INT8 = {"config_groups": {"group_0": {"targets": ["Linear"], "format": "int-quantized",
                                      "weights": {"num_bits": 8, "strategy": "channel"}}}}
MASK = {"sparsity_config": {"format": "sparse-bitmask"}}
MASK_24 = {"sparsity_config": {"format": "sparse-24-bitmask"}}

CASES = {
    "no-shape": (group(), tensors(weight_shape=None), "weight_shape' is missing"),
    "shape-of-three": (group(), tensors(weight_shape=torch.tensor([1, 8, 64])), "must be [out_features, in_features]"),
    "negative-shape": (group(), tensors(weight_shape=torch.tensor([-8, 64])), "must be [out_features, in_features]"),
    "huge-shape": (group(), tensors(weight_shape=torch.tensor([2**31, 2**31])), "impossible shape"),
    "beyond-64-bits": (group(), tensors(weight_shape=torch.tensor([2**62, 2**62])), "must be [out_features, in_features]"),
    "few-words": (group(), tensors(weight_packed=torch.zeros(ROWS, 3, dtype=torch.int32)), "weight_packed' has 24 elements"),
    "many-words": (group(), tensors(weight_packed=torch.zeros(ROWS, 9, dtype=torch.int32)), "weight_packed' has 72 elements"),
    "words-of-another-dtype": (group(), tensors(weight_packed=torch.zeros(ROWS, 8)), "wrong dtype"),
    "few-scales": (group(), tensors(weight_scale=torch.ones(ROWS, 1)), "weight_scale' has 8 elements"),
    "scales-of-integers": (group(), tensors(weight_scale=torch.ones(ROWS, 2, dtype=torch.int32)), "wrong dtype"),
    "empty-scales": (group(), tensors(weight_scale=torch.ones(0, 2)), "weight_scale' has 0 elements"),
    "zeros-missing": (group(symmetric=False), tensors(), "weight_zero_point' is missing"),
    "few-zeros": (group(symmetric=False), tensors(weight_zero_point=torch.zeros(1, 1, dtype=torch.int32)), "smaller"),
    "few-bytes-of-zeros": (group(symmetric=False), tensors(weight_zero_point=torch.zeros(1, 2, dtype=torch.int8)), "smaller"),
    "column-of-no-group": (group(actorder="group"), tensors(weight_g_idx=torch.full((COLUMNS,), 2, dtype=torch.int32)),
                           "column 0 is of group 2 of 2"),
    "column-of-a-negative-group": (group(actorder="group"), tensors(weight_g_idx=torch.full((COLUMNS,), -1, dtype=torch.int32)),
                                   "column 0 is of group -1"),
    "group-of-nothing": (group(group_size=0), tensors(), "group_size"),
    "absurd-group": (group(group_size=2**62), tensors(), "multiple of group_size"),
    "absurd-width": ({"format": "pack-quantized", **group(num_bits=77)}, tensors(), "1 to 8 bits"),
    "negative-width": ({"format": "pack-quantized", **group(num_bits=-4)}, tensors(), "1 to 8 bits"),
    "no-width": ({"format": "pack-quantized", **group(num_bits=0)}, tensors(), "1 to 8 bits"),
    "absurd-blocks": ({"config_groups": {"g": {"targets": ["Linear"], "format": "naive-quantized", "weights": {
        "num_bits": 8, "strategy": "block", "block_structure": [2**62, 2**62]}}}},
        {"a.weight": torch.zeros(ROWS, COLUMNS, dtype=torch.int8), "a.weight_scale": torch.ones(2, 2)}, "weight_scale' has 4 elements"),
    "not-a-pattern": ({"config_groups": {"g": {"targets": ["re:("], "weights": GROUPS}}}, tensors(), "is not a regular expression"),
    "rotations": ({**group(), "transform_config": {"config_groups": {"R1": {"type": "hadamard"}}}}, tensors(), "transform_config"),
    "codes-of-one-dimension": (INT8, {"a.weight": torch.zeros(512, dtype=torch.int8), "a.weight_scale": torch.ones(8, 1)},
                               "dimensions"),
    "marlin": ({"format": "marlin-24", **group()}, tensors(), "marlin-24 are not decoded"),
    "mask-of-too-many": (MASK_24, masked(bitmask=torch.full((ROWS, COLUMNS // 8), 0xFF, dtype=torch.uint8)), "two ones in every four"),
    "mask-without-numbers": (MASK_24, masked(compressed=torch.ones(3, 32)), "needs more numbers"),
    "offset-beyond": (MASK, masked(row_offsets=torch.full((ROWS,), 2**40)), "needs more numbers"),
    "negative-offset": (MASK, masked(row_offsets=torch.full((ROWS,), -1)), "needs more numbers"),
    "no-offsets": (MASK, masked(), "row_offsets' is missing"),
}


@pytest.mark.parametrize("name", CASES)
def test_is_refused(tmp_path, precis, name):
    config, stored, message = CASES[name]
    model = tmp_path / "model"
    model.mkdir()
    save_file(stored, model / "model.safetensors")
    config = {"quant_method": "compressed-tensors", "quantization_status": "compressed", **config}
    (model / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
    for command in (("dequantize", model, "-o", tmp_path / "out", "--progress", "none"), ("compare", model, model)):
        result = subprocess.run([precis.path, *map(str, command)], capture_output=True, text=True)
        assert result.returncode in (1, 2, 3, 4), f"{command}: exit {result.returncode}\n{result.stdout}{result.stderr}"
        assert message in result.stderr + result.stdout, f"{command}\n{result.stdout}{result.stderr}"
    assert not (tmp_path / "out").exists()

"""Makes the files beside it: what sdnq 0.2.8 makes of a weight, and what its layer multiplies with on a CPU. The library
(GPL-3.0) is called, and its source was not read. Usage: make.py, with sdnq==0.2.8 installed (pip install --no-deps)."""
import os
import pathlib
import sys

os.environ["SDNQ_USE_TORCH_COMPILE"] = "0"
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
import sdnq  # noqa: E402
import torch  # noqa: E402

from tests.oracle.make_golden import NAME, save_case, weight  # noqa: E402

EXACT = {name: {"weights_dtype": name, "group_size": 32} for name in (
    "int8", "uint8", "int7", "uint6", "int6", "uint5", "int5", "uint4", "int4", "uint3", "int3", "uint2", "int2", "uint1",
    "float8_e4m3fn", "float8_e5m2", "float8_e3m4fn", "float7_e3m3fn", "float6_e3m2fn", "float6_e2m4fnu", "float5_e2m2fn",
    "float4_e2m1fn", "float3_e2m0fn")}
EXACT |= {"uint7-rows": {"weights_dtype": "uint7", "group_size": -1}, "int8-auto": {"weights_dtype": "int8"},
          "int8-whole": {"weights_dtype": "int8", "group_size": -2},
          "uint4-codebook": {"weights_dtype": "uint4", "use_codebook": True},
          "uint3-codebook-g32": {"weights_dtype": "uint3", "use_codebook": True, "group_size": 32},
          "uint4-scales-of-the-model": {"weights_dtype": "uint4", "dequantize_fp32": False, "group_size": 32}}
# Sums in float32, in an order of torch's own.
NEAR = {"svd": {"weights_dtype": "uint4", "use_svd": True, "svd_rank": 8, "group_size": 32},
        "hadamard": {"weights_dtype": "int5", "use_hadamard": True, "group_size": 32},
        "hadamard-svd": {"weights_dtype": "uint4", "use_hadamard": True, "use_svd": True, "svd_rank": 8, "group_size": 32},
        "hadamard-16": {"weights_dtype": "uint4", "use_hadamard": True, "hadamard_group_size": 16, "group_size": 32},
        "hadamard-20": {"weights_dtype": "uint4", "use_hadamard": True, "hadamard_group_size": 20, "group_size": 32}}


def made(dtype, shape, options):
    model = torch.nn.Sequential(torch.nn.Linear(shape[1], shape[0], bias=False)).to(dtype)
    source = weight(5, *shape, dtype, "gauss")
    model[0].weight.data = source.clone()
    model = sdnq.sdnq_post_load_quant(model, torch_dtype=dtype, minimum_allowed_numel=0, minimum_allowed_channel_size=0,
                                      add_skip_keys=False, **options)
    tensors = {key[2:]: value for key, value in model.state_dict().items()}
    with torch.no_grad():
        return source, tensors, model(torch.eye(shape[1], dtype=dtype)).T.contiguous()


for folder, cases in (("sdnq", EXACT), ("sdnq_near", NEAR)):
    for name, options in cases.items():
        for dtype in (torch.float32, torch.bfloat16):
            shape = [8, 96]
            source, tensors, decoded = made(dtype, shape, options)
            parts = [[key, str(tensors[key].dtype)[6:], list(tensors[key].shape)]
                     for key in ("weight", "scale", "zero_point", "svd_up", "svd_down") if key in tensors]
            save_case(HERE / folder / f"{name}-{shape[0]}x{shape[1]}-{NAME[dtype]}.safetensors", "sdnq",
                      {"options": options, "parts": parts, "shape": shape, "weight_dtype": str(dtype)[6:]},
                      {"input.weight": source, "dequantized.weight": decoded,
                       **{"expected." + key: value for key, value in tensors.items()}}, packages=["sdnq"])

"""Makes the files beside it. fp_quant 0.3.2 rotates and rounds the weights itself, its Triton kernels run by Triton's
interpreter on a CPU (pseudoquantization). The packed form, which its QuTLASS kernels make on Blackwell GPUs alone, is the
same numbers as codes and scales, in the order that QuTLASS's tests unpack (tests/nvfp4_test.py at 0997aa2).
dequantized.weight is what the layer multiplies its activations with: the rotated weight times the rotation, transposed.
Usage: make.py, with fp_quant==0.3.2, scipy and triton==3.4.0 installed."""
import os
import pathlib
import sys

os.environ["TRITON_INTERPRET"] = "1"
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
import torch  # noqa: E402
import fp_quant.module.pseudoquant_linear_fns as functions  # noqa: E402
import fp_quant.module.triton.mxfp4 as mxfp4  # noqa: E402
import fp_quant.module.triton.nvfp4 as nvfp4  # noqa: E402
from fp_quant import FPQuantConfig, FPQuantDtype, FPQuantLinear  # noqa: E402

from tests.oracle.make_golden import NAME, save_case, weight  # noqa: E402

CASES = {
    "nvfp4-16": ("nvfp4", "abs_max", 16, "hadamard"),
    "nvfp4-64-gsr": ("nvfp4", "abs_max", 64, "gsr"),
    "mxfp4-32": ("mxfp4", "abs_max", 32, "hadamard"),
    "mxfp4-128": ("mxfp4", "abs_max", 128, "hadamard"),
    "mxfp4-32-quest": ("mxfp4", "quest", 32, "hadamard"),
    "nvfp4-16-identity": ("nvfp4", "abs_max", 16, "identity"),
}


class Untuned:
    """A kernel with one block size: choosing the fastest needs a GPU."""

    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        return lambda **arguments: self.kernel.fn[grid](**arguments, BLOCK_SIZE=1024)


mxfp4.mxfp4_forward_kernel = Untuned(mxfp4.mxfp4_forward_kernel)
nvfp4.nvfp4_forward_kernel = Untuned(nvfp4.nvfp4_forward_kernel)


def in_float32(wrapper):
    """The interpreter takes the bits of bfloat16 for integers; a GPU computes in float32 and rounds what it stores."""
    def run(x, *matrices, **options):
        made = wrapper(x.float(), *(matrix.float() for matrix in matrices), **options)
        if isinstance(made, tuple):
            return made[0].to(x.dtype), *made[1:]
        return made.to(x.dtype)

    return run


for name in ("mxfp4_forward_kernel_wrapper", "nvfp4_forward_kernel_wrapper"):
    setattr(functions, name, in_float32(getattr(functions, name)))
GRID = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=torch.float64)


def packed(rotated, name, global_scale):
    """Codes and scales that stand for the rounded numbers: the scale of a group is the one under which all of them are
    4-bit floats."""
    size = 16 if name == "nvfp4" else 32
    groups = rotated.double().unflatten(1, (-1, size)) * global_scale
    if name == "nvfp4":
        candidates = torch.arange(1, 127, dtype=torch.uint8)
        values = candidates.view(torch.float8_e4m3fn).double()
    else:
        candidates = torch.arange(60, 190, dtype=torch.uint8)
        values = 2.0 ** (candidates.double() - 127)
    # What a group is rounded to differs from the product of code and scale by the roundings to its dtype.
    quotients = groups.abs().unsqueeze(-1) / values
    error = (quotients.unsqueeze(-1) - GRID).abs().min(-1).values * values
    error = error.amax(2)
    largest = (groups.abs().amax(2).unsqueeze(-1) / values).round()
    error[(largest > 6) | (largest < 3)] = float("inf")
    best = error.argmin(-1)
    scale = values[best].unsqueeze(-1)
    codes = ((groups.abs() / scale).unsqueeze(-1) - GRID).abs().argmin(-1) + 8 * (groups < 0)
    codes = codes.flatten(1).to(torch.uint8)
    return codes[:, 1::2] << 4 | codes[:, ::2], candidates[best]


for case, (name, method, size, init) in CASES.items():
    for dtype in (torch.float32, torch.bfloat16):
        shape, config = [12, 256], {"forward_dtype": name, "forward_method": method, "hadamard_group_size": size,
                                    "transform_init": init}
        made = FPQuantConfig(FPQuantDtype(name), method, FPQuantDtype.BF16, False, size, True, init)
        layer = FPQuantLinear(shape[1], shape[0], made, bias=False, dtype=dtype)
        layer.weight.data = weight(7, *shape, dtype, "gauss")
        source = layer.weight.data
        layer.pre_forward()
        rotation = layer.forward_hadamard_matrix.double()

        def effective(rotated):
            return (rotated.double().unflatten(1, (-1, size)) @ rotation.T).flatten(1).to(dtype)

        common = {"input.weight": source, "expected.forward_hadamard_matrix": layer.forward_hadamard_matrix,
                  "expected.weight_global_scale": layer.weight_global_scale}
        described = {**config, "shape": shape, "weight_dtype": str(dtype)[6:]}
        stem = f"{case}-{shape[0]}x{shape[1]}-{NAME[dtype]}.safetensors"
        rotated = layer.dqweight.data
        error = (effective(rotated).double() - source.double()).norm() / source.double().norm()
        assert error < 0.2, (case, dtype, float(error))
        save_case(HERE / "fp_quant" / ("pseudo-" + stem), "fp_quant", {**described, "pseudoquantization": True},
                  {**common, "expected.dqweight": rotated, "dequantized.weight": effective(rotated)}, packages=["fp_quant"])
        if dtype == torch.float32:
            codes, scales = packed(rotated, name, layer.weight_global_scale.double())
            table = torch.cat([GRID, -GRID])
            numbers = torch.stack([codes & 15, codes >> 4], -1).flatten(1).long()
            values = scales.view(torch.float8_e4m3fn).double() if name == "nvfp4" else 2.0 ** (scales.double() - 127)
            each = (values / layer.weight_global_scale.double()).float().double()
            again = (table[numbers].unflatten(1, (-1, 16 if name == "nvfp4" else 32)) * each.unsqueeze(-1)).flatten(1).float()
            assert torch.allclose(again, rotated, rtol=1e-6, atol=0), case
            save_case(HERE / "fp_quant" / stem, "fp_quant", described,
                      {**common, "expected.qweight": codes, "expected.scales": scales,
                       "dequantized.weight": effective(again)}, "derived", ["fp_quant"])

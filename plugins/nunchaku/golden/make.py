"""Makes the files beside it: contents drawn at random, packed by Nunchaku's own packer (nunchaku/lora/flux/packer.py at
3a3cc3d) and by deepcompressor's (deepcompressor/backend/tinychat/utils.py at 69f3473), which run on a CPU; the kernels
that multiply with them do not. dequantized.weight is computed here, in double precision, from what was packed: what the
kernels multiply activations with. Usage: make.py, with the two files' paths in PRECIS_NUNCHAKU_PACKER and
PRECIS_TINYCHAT_UTILS."""
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
import torch  # noqa: E402

from tests.oracle.make_golden import NAME, save_case, weight  # noqa: E402


def names_of(variable):
    """What a source file defines, without the helpers it imports from its package."""
    source = re.sub(r"^from \.+.*$", "", pathlib.Path(os.environ[variable]).read_text(), flags=re.MULTILINE)
    # All sizes here are multiples of what would be filled up to.
    names = {"ceil_divide": lambda x, divisor: -(-x // divisor), "pad": lambda tensor, **_: tensor}
    exec(compile(source, variable, "exec"), names)
    return names


packer = names_of("PRECIS_NUNCHAKU_PACKER")["NunchakuWeightPacker"](bits=4)
tinychat = names_of("PRECIS_TINYCHAT_UTILS")["convert_to_tinychat_w4x16y16_linear_weight"]
FLOAT4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=torch.float64)


def svdq(made, rows, columns, dtype, precision, rank):
    group = 64 if precision == "int4" else 16
    codes = torch.randint(0, 16, (rows, columns), generator=made).to(torch.int32)
    scales = (torch.rand(rows, columns // group, generator=made) + 0.5).to(dtype)
    smooth = (torch.rand(columns, generator=made) + 0.5).to(dtype)
    down, up = (torch.randn(shape, generator=made).mul(0.1).to(dtype) for shape in ((rank, columns), (rows, rank)))
    packed_scales = packer.pack_scale(scales.view(rows, 1, columns // group, 1), group)
    if precision == "int4":
        values = (codes - 16 * (codes > 7)).double()
        scales = scales.double()
    else:
        values, scales = FLOAT4[codes.long()], scales.to(torch.float8_e4m3fn).double()
    decoded = values * scales.repeat_interleave(group, 1)
    tensors = {"qweight": packer.pack_weight(codes.clone()), "wscales": packed_scales.view(columns // group, rows),
               "smooth_factor": packer.pack_scale(smooth.view(-1, 1, 1, 1), -1).view(-1),
               "proj_down": packer.pack_lowrank_weight(down, down=True).view(columns, rank) if rank else down.T,
               "proj_up": packer.pack_lowrank_weight(up, down=False).view(rows, rank) if rank else up}
    if precision == "nvfp4":
        row_scales, whole = (torch.rand(rows, generator=made) + 0.5).to(dtype), torch.tensor([0.037], dtype=dtype)
        tensors["wcscales"] = packer.pack_scale(row_scales.view(-1, 1, 1, 1), -1).view(-1)
        tensors["wtscale"] = whole
        decoded = decoded * row_scales.double().unsqueeze(1) * whole.double()
    return tensors, decoded / smooth.double() + up.double() @ down.double()


def awq(made, rows, columns, dtype):
    # Codes times a power of two: the packer divides them again in float32, without a remainder.
    scales = 2.0 ** -torch.randint(3, 7, (rows, columns // 64), generator=made)
    zeros = torch.randint(4, 11, (rows, columns // 64), generator=made) * scales
    codes = torch.randint(0, 16, (rows, columns), generator=made)
    decoded = codes * scales.repeat_interleave(64, 1) - zeros.repeat_interleave(64, 1)
    packed, wscales, wzeros = tinychat(decoded.to(dtype), scales.to(dtype), zeros.to(dtype))
    assert torch.equal(decoded.to(dtype).double(), decoded.double())
    groups = columns // 64
    return {"qweight": packed.view(torch.int32).view(rows // 4, columns // 2), "wscales": wscales[:groups],
            "wzeros": wzeros[:groups]}, decoded


CASES = {"svdq-int4": (256, 128, torch.bfloat16, "int4", 32), "svdq-int4-rank0": (128, 128, torch.float16, "int4", 0),
         "svdq-nvfp4": (128, 256, torch.bfloat16, "nvfp4", 16), "awq": (12, 192, torch.bfloat16, None, None)}
for name, (rows, columns, dtype, precision, rank) in CASES.items():
    made = torch.Generator().manual_seed(rows + columns)
    tensors, decoded = awq(made, rows, columns, dtype) if precision is None else svdq(made, rows, columns, dtype, precision, rank)
    config = {"precision": precision, "rank": rank, "shape": [rows, columns], "weight_dtype": str(dtype)[6:]}
    save_case(HERE / "nunchaku" / f"{name}-{rows}x{columns}-{NAME[dtype]}.safetensors", "nunchaku_lite", config,
              {"input.weight": weight(5, rows, columns, dtype, "gauss"), "dequantized.weight": decoded.to(dtype),
               **{"expected." + key: value for key, value in tensors.items()}}, "derived")

"""Makes the files beside it: codes drawn at random, packed by FLUTE's own functions (flute-kernel 0.4.2: utils.py,
packbits_utils.py), which run on a CPU; its kernels do not. dequantized.weight is computed here, in double precision, from
what was packed: pairs of transformers' grid, scales, and the rotation that transformers' quantize_with_higgs applies.
Usage: make.py, with the folder flute/ of the package in PRECIS_FLUTE."""
import os
import pathlib
import re
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
import torch  # noqa: E402
from transformers.integrations.higgs import get_higgs_grid  # noqa: E402

from tests.oracle.make_golden import NAME, save_case, weight  # noqa: E402

folder = pathlib.Path(os.environ["PRECIS_FLUTE"])


class Annotation:
    """Stands for jaxtyping, which the source uses for annotations alone."""

    def __getitem__(self, _):
        return object


def source_of(name):
    return re.sub(r"^from \. import .*$", "", (folder / name).read_text(), flags=re.MULTILINE)


sys.modules["jaxtyping"] = types.SimpleNamespace(Float=Annotation(), UInt8=Annotation(), Int16=Annotation(), Int32=Annotation(),
                                                 Bool=Annotation())
bits_utils = types.ModuleType("packbits_utils")
exec(source_of("packbits_utils.py"), bits_utils.__dict__)
templates = torch.load(folder / "data/qgemm_kernel_raw_generated_configs.pth", weights_only=True)
flute = {"packbits_utils": bits_utils, "TEMPLATE_CONFIGS": templates, "qgemm": None}
exec(source_of("utils.py"), flute)


def hadamard(size):
    matrix = torch.ones(1, 1, dtype=torch.float64)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix / size**0.5


def case(bits, p, template, rows, columns, dtype, group=64, rotated=64):
    made = torch.Generator().manual_seed(bits + template)
    codes = torch.randint(0, 2**bits, (columns, rows), generator=made)
    scales = (torch.rand(rows, columns // group, generator=made) * 0.1).to(dtype)
    grid = get_higgs_grid(p, 2 ** (p * bits)).to(dtype)
    if p == 2:
        tables2 = grid.view(2**bits, 2**bits, 2)
    else:
        line = grid.squeeze(1)
        tables2 = torch.stack(torch.broadcast_tensors(line[:, None], line[None, :]), -1).contiguous()
    packed = flute["pack"](codes, bits, [template], 108)
    values = tables2[codes[0::2], codes[1::2]]
    values = values.permute(1, 0, 2).reshape(rows, columns).double() * scales.double().repeat_interleave(group, 1)
    decoded = (values.unflatten(1, (-1, rotated)) @ hadamard(rotated)).flatten(1)
    return {"weight": packed, "scales": scales, "tables": torch.arange(2**bits).to(dtype),
            "tables2": tables2.contiguous().view(torch.float16)}, decoded.to(dtype)


for bits, p, template, rows, columns, dtype in ((4, 2, 0, 256, 64, torch.float16), (4, 1, 20, 128, 128, torch.bfloat16),
                                                (3, 2, 4, 512, 64, torch.float16), (2, 2, 4, 256, 64, torch.bfloat16),
                                                (2, 1, 0, 512, 64, torch.float16)):
    tensors, decoded = case(bits, p, template, rows, columns, dtype)
    config = {"bits": bits, "p": p, "group_size": 64, "hadamard_size": 64, "template_id": template, "shape": [rows, columns],
              "weight_dtype": str(dtype)[6:]}
    save_case(HERE / "higgs" / f"{bits}b-p{p}-template{template}-{rows}x{columns}-{NAME[dtype]}.safetensors", "higgs", config,
              {"input.weight": weight(5, rows, columns, dtype, "gauss"), "dequantized.weight": decoded,
               **{"expected." + key: value for key, value in tensors.items()}}, "derived")

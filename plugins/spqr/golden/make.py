"""Makes the files beside it: codes, second-order numbers and outliers drawn at random, packed and decoded by the host
functions of spqr_quant 0.2.0 (tensor_compress_interleaved, dequantize_compressed), which it has in a source file that
also launches CUDA kernels: they are cut out and compiled alone. Usage: make.py, with spqr_quant==0.2.0 unpacked in
PRECIS_SPQR, and in PRECIS_CUDA_INCLUDE cuda_fp16.h, whose arithmetic on a host needs no GPU: the headers of
nvidia-cuda-runtime-cu12, with crt/ of nvidia-cuda-nvcc-cu12 and nv/ of nvidia-cuda-cccl-cu12 beside them."""
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
import torch  # noqa: E402
from torch.utils.cpp_extension import load_inline  # noqa: E402

from tests.oracle.make_golden import save_case, weight  # noqa: E402

folder = pathlib.Path(os.environ["PRECIS_SPQR"], "spqr_quant")
sys.path.insert(0, str(folder))
from sparse_util import init_ptcsr, merge_col_val  # noqa: E402

kernels = folder / "inference_kernels"
source = (kernels / "spqr_cuda.cpp").read_text()


def function(pattern):
    """From the line that matches to the brace that closes it."""
    begin = re.search(pattern, source, re.MULTILINE).start()
    return source[begin:source.index("\n}\n", begin) + 3]


host = load_inline("spqr_host", "\n".join([
    "#include <torch/extension.h>", "#include <cmath>", '#include "common.cuh"',
    "#define UPDIV(X, Y) (((X) + (Y)-1) / (Y))",
    "half int2half_rd(const int i) { return __int2half_rd(i); }",
    function(r"^template<class Bit_t, class Scalar_t> Scalar_t host_dequantize"),
    function(r"^void dequantize_compressed"), function(r"^void tensor_compress_interleaved")]),
    functions=["dequantize_compressed", "tensor_compress_interleaved"],
    extra_include_paths=[os.environ["PRECIS_CUDA_INCLUDE"], str(kernels)], extra_cflags=["-include", "cuda_fp16.h", "-w"])


def pairs(order):
    """Two uint16 in an int32, as QuantizedLinear.from_legacy packs them."""
    return order.to(torch.int32)[1::2] << 16 | order.to(torch.int32)[0::2]


def case(rows, columns, density, in_turn, permuted):
    made = torch.Generator().manual_seed(rows + columns)
    tiles = (rows + 15) // 16 * ((columns + 15) // 16)
    codes = torch.randint(0, 8, (rows, columns), generator=made).to(torch.int8)
    first = [torch.randint(0, 8, (tiles * 16,), generator=made).to(torch.int8) for _ in range(2)]

    def numbers(scale, shift):
        return (torch.rand(tiles, generator=made) * scale + shift).half()

    second = [numbers(0.004, 0.001), numbers(2, -3), numbers(0.5, 0.1), numbers(2, -2)]
    outliers = torch.rand(rows, columns, generator=made) < density
    offsets = torch.cat([torch.zeros(1), outliers.sum(1).cumsum(0)]).to(torch.int32)
    column_ids = outliers.nonzero()[:, 1].to(torch.int16)
    values = (torch.randn(len(column_ids), generator=made) * 0.3).half()
    stored = merge_col_val(column_ids, values)
    starts, in_order = (init_ptcsr(offsets) if in_turn else (offsets, stored))
    dense = torch.zeros(tiles * 16, dtype=torch.int64)
    host.tensor_compress_interleaved(rows, columns, 3, codes, 16, 16, *first, *second, offsets, starts, stored, in_order,
                                     int(in_turn), dense)
    decoded = torch.zeros(rows, columns, dtype=torch.float16)
    host.dequantize_compressed(rows, columns, 3, 16, 16, dense, starts, in_order, len(in_order), decoded)
    tensors = {"dense_weights": dense, "row_offsets": starts, "col_vals": in_order}
    if permuted:
        order = torch.randperm(columns, generator=made)
        tensors["in_perm"] = pairs(order)
        decoded = decoded[:, torch.argsort(order)]
    return tensors, decoded


for name, arguments in {"csr": (32, 64, 0.02, False, False), "csr-perm": (48, 80, 0.02, False, True),
                        "ptcsr": (32, 64, 0.05, True, False), "ptcsr-perm": (64, 40, 0.05, True, True),
                        "dense": (16, 32, 0, False, False)}.items():
    tensors, decoded = case(*arguments)
    config = {"in_turn": arguments[3], "permuted": arguments[4], "shape": list(arguments[:2]), "weight_dtype": "float16"}
    save_case(HERE / "spqr" / f"{name}-{arguments[0]}x{arguments[1]}.safetensors", "spqr", config,
              {"input.weight": weight(5, *arguments[:2], torch.float16, "gauss"), "dequantized.weight": decoded,
               **{"expected." + key: value for key, value in tensors.items()}}, packages=["spqr_quant"])

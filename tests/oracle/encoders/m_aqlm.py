"""AQLM on the CPU: the package decodes and multiplies; its encoder needs calibration, so codes and codebooks are drawn
at random and the weight is what they decode to."""
import torch
from aqlm.inference import QuantizedLinear
from aqlm.inference_kernels.dequantization import dequantize_gemm
from aqlm.utils import _dequantize_weight, pack_int_data, unpack_int_data

KEYS = ("in_group_size", "out_group_size", "num_codebooks", "nbits_per_codebook")


def encode(cfg, w, b=None):
    rows, columns = w.shape
    layer = QuantizedLinear(columns, rows, *(cfg[k] for k in KEYS), bias=b is not None, dtype=w.dtype)
    generator = torch.Generator().manual_seed(5)
    codes = torch.randint(0, 2 ** cfg["nbits_per_codebook"], layer.codes.shape, generator=generator)
    layer.codes.data = pack_int_data(codes, cfg["nbits_per_codebook"])
    layer.codebooks.data = torch.randn(layer.codebooks.shape, generator=generator).mul(0.5).to(w.dtype)
    layer.scales.data = torch.rand(layer.scales.shape, generator=generator).mul(0.1).to(w.dtype)
    if b is not None:
        layer.bias.data = b
    return {k: v.detach().clone() for k, v in layer.state_dict().items()}


def decode(cfg, t):
    return _dequantize_weight(unpack_int_data(t["codes"], cfg["nbits_per_codebook"]), t["codebooks"], t["scales"])


def forward(cfg, t, x):
    return dequantize_gemm(x, t["codes"], t["codebooks"], t["scales"], t.get("bias"))


METHODS = {"aqlm": (encode, decode, forward)}

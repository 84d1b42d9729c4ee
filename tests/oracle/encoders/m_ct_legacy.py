"""What only older versions of compressed-tensors write (0.9.2, its package's path in PRECIS_COMPRESSED_TENSORS_0_9): words
that hold whole numbers, zero points that are not packed, columns in the order of activations, masks of bits."""
import os
import sys

sys.path.insert(0, os.environ["PRECIS_COMPRESSED_TENSORS_0_9"])
import torch  # noqa: E402
from compressed_tensors.compressors.quantized_compressors.pack_quantized import PackedQuantizationCompressor  # noqa: E402
from compressed_tensors.compressors.sparse_compressors.sparse_24_bitmask import (  # noqa: E402
    Sparse24BitMaskCompressor, get_24_bytemasks)
from compressed_tensors.compressors.sparse_compressors.sparse_bitmask import BitmaskCompressor  # noqa: E402
from compressed_tensors.config import BitmaskConfig, Sparse24BitMaskConfig  # noqa: E402
from compressed_tensors.quantization import QuantizationArgs  # noqa: E402
from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize  # noqa: E402
from compressed_tensors.quantization.utils import calculate_qparams  # noqa: E402
from compressed_tensors.utils.helpers import unpack_bitmasks  # noqa: E402


def args_of(cfg):
    return QuantizationArgs(**cfg["weights"]) if "weights" in cfg else None


def group_of(cfg, columns):
    """A group for each column, as many in each, in no order."""
    order = torch.randperm(columns, generator=torch.Generator().manual_seed(5))
    groups = torch.empty(columns, dtype=torch.int32)
    groups[order] = (torch.arange(columns) // cfg["weights"]["group_size"]).to(torch.int32)
    return groups


def scales_of(cfg, args, w, groups):
    if args.strategy == "channel":
        return calculate_qparams(w.amin(1, keepdim=True), w.amax(1, keepdim=True), args)
    ordered = w if groups is None else w[:, torch.argsort(groups, stable=True)]
    parts = ordered.reshape(w.shape[0], -1, args.group_size)
    return calculate_qparams(parts.amin(-1), parts.amax(-1), args)


def compressor_of(cfg):
    if cfg["sparsity"] == "sparse-bitmask":
        return BitmaskCompressor(BitmaskConfig())
    return Sparse24BitMaskCompressor(Sparse24BitMaskConfig())


def encode(cfg, w, b=None):
    args, out = args_of(cfg), {}
    if "sparsity" in cfg:
        w = w * get_24_bytemasks(w).to(w.dtype)
        if args:
            scale, zero = scales_of(cfg, args, w, None)
            out["weight_scale"] = scale
            w = quantize(w, scale, zero, args, dtype=args.pytorch_dtype())
        compressed = compressor_of(cfg).compress_weight("", w)
        return out | {key.lstrip("."): value for key, value in compressed.items()}
    groups = group_of(cfg, w.shape[1]) if args.actorder == "group" else None
    scale, zero = scales_of(cfg, args, w, groups)
    out = PackedQuantizationCompressor().compress_weight(w, scale, args, zero, groups)
    out["weight_scale"] = scale
    if not args.symmetric:
        out["weight_zero_point"] = zero
    if groups is not None:
        out["weight_g_idx"] = groups
    return out


def decode(cfg, t):
    args = args_of(cfg)
    if "sparsity" not in cfg:
        return PackedQuantizationCompressor().decompress_weight(t, args)
    if t["compressed"].dtype == torch.float8_e4m3fn:  # the library's own code for it wants a GPU
        mask = unpack_bitmasks(t["bitmask"], t["shape"].flatten().tolist())
        dense = torch.zeros(mask.shape, dtype=torch.int8)
        dense[mask] = t["compressed"].view(torch.int8).flatten()
        dense = dense.view(torch.float8_e4m3fn)
    else:
        names = ("shape", "compressed", "bitmask") + (("row_offsets",) if "row_offsets" in t else ())
        dense = compressor_of(cfg).decompress_weight({name: t[name] for name in names})
    return dequantize(dense, t["weight_scale"], args=args) if args else dense


METHODS = {"ct_legacy": (encode, decode, None)}

"""AMD Quark (0.13, its package's path in PRECIS_QUARK): its kernels quantize and decode, its pack methods pack. Scales are
those of a min/max observer."""
import os
import sys

sys.path.insert(0, os.environ["PRECIS_QUARK"])
import torch  # noqa: E402
import quark.torch.kernel as kernel  # noqa: E402
from quark.torch.utils import create_pack_method  # noqa: E402

LARGEST = {"fp8_e4m3": 448.0, "int8": 127.0, "fp4": 6.0}


def scale_of(cfg, w):
    if cfg["qscheme"] == "per_tensor":
        return (w.abs().amax() / LARGEST[cfg["dtype"]]).to(w.dtype)
    if cfg["qscheme"] == "per_channel":
        return (w.abs().amax(1) / LARGEST[cfg["dtype"]]).to(w.dtype)
    largest = w.float().unflatten(1, (-1, cfg["group_size"])).abs().amax(-1)
    return torch.exp2(torch.floor(torch.log2(largest)) - 2).to(w.dtype)


def arguments(cfg):
    return cfg.get("ch_axis"), cfg.get("group_size")


def encode(cfg, w, b=None):
    scale, (axis, group) = scale_of(cfg, w), arguments(cfg)
    zero = torch.zeros_like(scale, dtype=torch.int) if cfg["dtype"] == "int8" else None
    low = -128 if cfg["dtype"] == "int8" else -LARGEST[cfg["dtype"]]
    codes = kernel.scaled_real_quantize(cfg["dtype"], w, scale, zero, axis, group, low, LARGEST[cfg["dtype"]], 8,
                                        cfg["qscheme"])
    out = {"weight": create_pack_method(cfg["qscheme"], cfg["dtype"], None).pack(codes, False)}
    exponents = cfg.get("scale_format") == "e8m0"
    out["weight_scale"] = (torch.log2(scale.float()) + 127).to(torch.uint8) if exponents else scale
    if zero is not None:
        out["weight_zero_point"] = zero.to(torch.int8)
    return out


def decode(cfg, t):
    codes = create_pack_method(cfg["qscheme"], cfg["dtype"], None).unpack(t["weight"], False)
    scale, (axis, group) = t["weight_scale"], arguments(cfg)
    dtype = getattr(torch, cfg["weight_dtype"])
    if scale.dtype == torch.uint8:
        scale = 2.0 ** (scale.to(torch.int16) - 127).to(dtype)
    return kernel.dequantize(cfg["dtype"], codes, scale, t.get("weight_zero_point"), axis, group, cfg["qscheme"]).to(dtype)


METHODS = {"quark": (encode, decode, None)}

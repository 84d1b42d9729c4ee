"""auto-round (0.16, its package's path in PRECIS_AUTO_ROUND): its own rounding rule without the learning, packed and
decoded by its own layers on the CPU."""
import os
import sys

sys.path.insert(0, os.environ["PRECIS_AUTO_ROUND"])
import torch  # noqa: E402
from auto_round.export.export_to_awq.utils import WQLinear_GEMM, dequantize_gemm  # noqa: E402
from auto_round_extension.torch import qlinear_torch, qlinear_torch_zp  # noqa: E402


def grid(cfg, w):
    """Scales [out, groups] and zero points, as auto_round/data_type/int.py has them."""
    bits, groups = cfg["bits"], w.float().unflatten(1, (-1, cfg["group_size"]))
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    if not cfg["sym"]:
        scale = ((high - low) / (2 ** bits - 1)).clamp(min=1e-5).half().float()
        return scale, torch.round(-low / scale)
    larger = torch.where(high >= -low, -high, -low)  # the extreme number gets the lowest code
    scale = (larger / 2 ** (bits - 1)).half().float()
    scale = torch.where(scale.abs() < 1e-5, torch.full_like(scale, 1e-5), scale)
    return scale, 2 ** (bits - 1)


def layer_of(cfg, n, k):
    if cfg["packing_format"] == "auto_round:gptqmodel":
        return qlinear_torch.QuantLinear(cfg["bits"], cfg["group_size"], k, n, False, g_idx=True)
    return qlinear_torch_zp.QuantLinear(cfg["bits"], cfg["group_size"], k, n, False)


def encode(cfg, w, b=None):
    n, k = w.shape
    scale, zero = grid(cfg, w)
    linear = torch.nn.Linear(k, n, bias=False)
    linear.weight.data.copy_(w.float())
    if cfg["packing_format"] == "auto_round:auto_awq":
        full = zero if torch.is_tensor(zero) else torch.full_like(scale, zero)
        layer = WQLinear_GEMM.from_linear(linear, cfg["bits"], cfg["group_size"], scales=scale.T.contiguous().half(), zeros=full.T.contiguous())
    else:
        layer = layer_of(cfg, n, k)
        layer.device = "cpu"
        layer.pack(linear, scale, zero, device="cpu")
    return {key: value.clone() for key, value in layer.state_dict().items()}


def decode(cfg, t):
    n, k = cfg["shape"]
    if cfg["packing_format"] == "auto_round:auto_awq":
        return dequantize_gemm(t["qweight"], t["qzeros"], t["scales"], cfg["bits"], cfg["group_size"]).T.contiguous()
    layer = layer_of(cfg, n, k)
    layer.load_state_dict(t, strict=False)
    with torch.inference_mode():
        return layer(torch.eye(k, dtype=torch.float16)).T.contiguous()


METHODS = {"auto_round": (encode, decode, None)}

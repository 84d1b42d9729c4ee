"""NVIDIA ModelOpt (0.37, its package's path in PRECIS_MODELOPT): the tensor classes that its exporter stores, decoded to
float32 by themselves."""
import os
import sys

sys.path.insert(0, os.environ["PRECIS_MODELOPT"])
import torch  # noqa: E402
from modelopt.torch.quantization.qtensor import FP8QTensor, INT8QTensor, NVFP4QTensor, nvfp4_tensor  # noqa: E402

nvfp4_tensor.fp4_compatible = lambda: False  # asks a GPU


def encode(cfg, w, b=None):
    if cfg["quant_algo"] == "NVFP4":
        packed, scale, scale_2 = NVFP4QTensor.quantize(w, 16)
        return {"weight": packed._quantized_data, "weight_scale": scale, "weight_scale_2": scale_2.float().reshape(())}
    rows = cfg["quant_algo"] != "FP8"
    made = INT8QTensor if cfg["quant_algo"] == "W8A16" else FP8QTensor
    largest = 127 if made is INT8QTensor else 448
    scale = (w.float().abs().amax(1, keepdim=True) if rows else w.float().abs().amax()) / largest
    packed, scale = made.quantize(w.float(), scale)
    return {"weight": packed._quantized_data, "weight_scale": scale.squeeze(1) if rows else scale}


def decode(cfg, t):
    shape = torch.Size(cfg["shape"])
    if cfg["quant_algo"] == "NVFP4":
        return NVFP4QTensor(shape, torch.float32, t["weight"]).dequantize(
            torch.float32, scale=t["weight_scale"], double_scale=t["weight_scale_2"], block_sizes={-1: 16})
    scale = t["weight_scale"] if cfg["quant_algo"] == "FP8" else t["weight_scale"][:, None]
    made = INT8QTensor if cfg["quant_algo"] == "W8A16" else FP8QTensor
    return made(shape, torch.float32, t["weight"]).dequantize(torch.float32, scale=scale)


METHODS = {"modelopt": (encode, decode, None)}

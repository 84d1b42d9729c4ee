"""NVIDIA ModelOpt (0.47, its package's path in PRECIS_MODELOPT): what its exporter for Hugging Face models stores of a Linear
module quantized without calibration data, decoded to float32 by ModelOpt's own tensor classes."""
import copy
import os
import sys

sys.path.append(os.environ["PRECIS_MODELOPT"])
import torch  # noqa: E402
import modelopt.torch.quantization as mtq  # noqa: E402
from modelopt.torch.export.unified_export_hf import _export_quantized_weight  # noqa: E402
from modelopt.torch.quantization.qtensor import (FP8QTensor, INT8QTensor, MXFP4QTensor, MXFP8QTensor,  # noqa: E402
                                                 NVFP4QTensor)

CONFIGS = {"FP8": mtq.FP8_DEFAULT_CFG, "FP8_PER_CHANNEL_PER_TOKEN": mtq.FP8_PER_CHANNEL_PER_TOKEN_CFG,
           "fp8_pb_wo": mtq.FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG, "MXFP8": mtq.MXFP8_DEFAULT_CFG,
           "W8A16": mtq.INT8_WEIGHT_ONLY_CFG, "W4A16_AWQ": mtq.INT4_BLOCKWISE_WEIGHT_ONLY_CFG,
           "NVFP4": mtq.NVFP4_DEFAULT_CFG, "W4A16_NVFP4": mtq.W4A16_NVFP4_CFG, "W4A8_NVFP4_FP8": mtq.W4A8_NVFP4_FP8_CFG,
           "mxfp4": mtq.MXFP4_DEFAULT_CFG}


def encode(cfg, w, b=None):
    model = torch.nn.Sequential(torch.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=w.dtype))
    model[0].weight.data.copy_(w)
    mtq.quantize(model, copy.deepcopy(CONFIGS[cfg["quant_algo"]]), forward_loop=None)
    _export_quantized_weight(model[0], w.dtype)
    return {name: value.detach() for name, value in model[0].state_dict().items() if "quantizer" not in name}


def decode(cfg, t):
    shape, codes, scale = torch.Size(cfg["shape"]), t["weight"], t["weight_scale"]
    f32 = torch.float32
    match cfg["quant_algo"]:
        case "NVFP4" | "W4A16_NVFP4" | "W4A8_NVFP4_FP8" as name:
            return NVFP4QTensor(shape, f32, codes).dequantize(f32, scale=scale, double_scale=t["weight_scale_2"],
                                                              block_sizes={-1: 32 if name == "W4A8_NVFP4_FP8" else 16})
        case "mxfp4":
            return MXFP4QTensor(shape, f32, codes).dequantize(f32, scale=scale, block_sizes={-1: 32})
        case "MXFP8":
            return MXFP8QTensor(shape, f32, codes).dequantize(f32, scale=scale)
        case "W4A16_AWQ":  # the exporter packs; nothing unpacks
            signed = codes.view(torch.int8)
            numbers = torch.stack(((signed << 4) >> 4, signed >> 4), 1).reshape(shape)
            return numbers * scale.repeat_interleave(128, 1)
        case "fp8_pb_wo":
            scale = scale.squeeze().reshape(-(-shape[0] // 128), -(-shape[1] // 128))
            scale = scale.repeat_interleave(128, 0)[:shape[0]].repeat_interleave(128, 1)[:, :shape[1]]
        case "FP8_PER_CHANNEL_PER_TOKEN" | "W8A16":
            scale = scale[:, None]
    made = INT8QTensor if codes.dtype == torch.int8 else FP8QTensor
    return made(shape, f32, codes).dequantize(f32, scale=scale)


METHODS = {"modelopt": (encode, decode, None)}

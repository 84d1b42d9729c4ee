"""AMD Quark (0.13, its package's path in PRECIS_QUARK): what its exporter stores of a Linear module quantized without
calibration data, decoded by Quark's own kernels."""
import os
import sys

sys.path.append(os.environ["PRECIS_QUARK"])
import torch  # noqa: E402
import quark.torch.kernel as kernel  # noqa: E402
from quark.torch import ModelQuantizer  # noqa: E402
from quark.torch.export.config.config import JsonExporterConfig  # noqa: E402
from quark.torch.export.main_export.model_post_process import ModelPostProcessor  # noqa: E402
from quark.torch.quantization.config import config as spec  # noqa: E402
from quark.torch.utils import create_pack_method  # noqa: E402

INTEGERS = dict(symmetric=True, scale_type="float", round_method="half_even", is_dynamic=False)


def spec_of(cfg):
    axis, group = cfg.get("ch_axis"), cfg.get("group_size")
    match cfg["dtype"], cfg["qscheme"]:
        case "fp8_e4m3", "per_tensor":
            return spec.FP8E4M3PerTensorSpec(observer_method="min_max", is_dynamic=False)
        case "fp8_e4m3", "per_channel":
            return spec.FP8E4M3PerChannelSpec(ch_axis=axis, is_dynamic=False)
        case "int8", "per_tensor":
            return spec.Int8PerTensorSpec(observer_method="min_max", **INTEGERS)
        case "int8", "per_channel":
            return spec.Int8PerChannelSpec(ch_axis=axis, **INTEGERS)
        case "fp4", "per_group":
            return spec.OCP_MXFP4Spec(ch_axis=axis, is_dynamic=False)
        case "uint4", "per_group":
            return spec.Uint4PerGroupSpec(ch_axis=axis, group_size=group, symmetric=False)
        case "int4", "per_group":
            return spec.Int4PerGroupSpec(ch_axis=axis, group_size=group, symmetric=True)


def encode(cfg, w, b=None):
    model = torch.nn.Sequential(torch.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=w.dtype)).eval()
    model[0].weight.data.copy_(w)
    config = spec.QConfig(global_quant_config=spec.QLayerConfig(weight=spec_of(cfg).to_quantization_spec()))
    quantizer = ModelQuantizer(config)
    model = quantizer.freeze(quantizer.quantize_model(model, None))
    processor = ModelPostProcessor(model, JsonExporterConfig(), custom_mode="quark", output_quant=False,
                                   quantization_config=config)
    processor.merge_scale()
    state = processor.get_processed_model()[0].state_dict()
    return {name.replace("_quantizer.", "_"): value.detach() for name, value in state.items()}


def decode(cfg, t):
    method, dtype = create_pack_method(cfg["qscheme"], cfg["dtype"], None), getattr(torch, cfg["weight_dtype"])
    scale, zero = t["weight_scale"], t.get("weight_zero_point")
    rows = {"origin_packed_axis_size": scale.shape[-1]} if cfg["dtype"] in ("int4", "uint4") else {}
    codes = method.unpack(t["weight"], True, **rows)
    if rows:
        scale, zero = scale.t().contiguous(), method.unpack(zero, True, **rows)
    if cfg.get("scale_format") == "e8m0":
        scale = 2.0 ** (scale.to(torch.int16) - 127).to(dtype)
    return kernel.dequantize(cfg["dtype"], codes, scale, zero, cfg.get("ch_axis"), cfg.get("group_size"), cfg["qscheme"]).to(dtype)


METHODS = {"quark": (encode, decode, None)}

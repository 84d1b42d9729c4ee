"""Records in which order diffusers calls the hooks of a quantizer while it loads a model.

    python tests/lifecycle/record_hooks.py MODEL_DIR > tests/lifecycle/diffusers_hooks.json

MODEL_DIR is a pipeline of tests/models/make_pipelines.py (sd3). Calls that repeat one another, a parameter
at a time, are recorded once.
"""
import json
import sys
import tempfile

import diffusers
import torch
from diffusers import QuantoConfig, SD3Transformer2DModel
from diffusers.quantizers.auto import AUTO_QUANTIZER_MAPPING
from diffusers.quantizers.base import DiffusersQuantizer

calls = []


def record(quantizer, name):
    wrapped = getattr(quantizer, name)

    def call(self, *args, **kwargs):
        calls.append(name)
        return wrapped.fget(self) if isinstance(wrapped, property) else wrapped(self, *args, **kwargs)

    setattr(quantizer, name, property(call) if isinstance(wrapped, property) else call)


def load(directory, **kwargs):
    calls.clear()
    model = SD3Transformer2DModel.from_pretrained(directory, torch_dtype=torch.bfloat16, **kwargs)
    return model, list(dict.fromkeys(calls))


def main():
    quantizer = AUTO_QUANTIZER_MAPPING["quanto"]
    for name in dir(DiffusersQuantizer):
        if not name.startswith("_"):
            member = getattr(DiffusersQuantizer, name)
            if callable(member) or isinstance(member, property):
                record(quantizer, name)
    # The defaults, lists of None, break device_map="sequential".
    SD3Transformer2DModel._keep_in_fp32_modules = ["none"]
    transformer = sys.argv[1] + "/transformer"
    config = QuantoConfig(weights_dtype="int8", modules_to_not_convert=["proj_out"])
    orders = {}
    model, orders["from_float"] = load(transformer, quantization_config=config)
    _, orders["from_float_with_device_map"] = load(
        transformer, quantization_config=config, device_map="sequential", max_memory={"cpu": "1GB"})
    calls.clear()
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        orders["save"] = list(dict.fromkeys(calls))
        _, orders["pre_quantized"] = load(saved)
    json.dump({"diffusers": diffusers.__version__, "orders": orders}, sys.stdout, indent=1)
    print()


main()

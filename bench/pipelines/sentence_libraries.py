"""A BERT model quantized by the Python libraries, or read by them from what precis wrote; on a CPU."""
import json

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModel

BITSANDBYTES = {"nf4": ("nf4", False), "nf4-dq": ("nf4", True), "fp4": ("fp4", False), "fp4-dq": ("fp4", True)}
QUANTO = {"qint8": "qint8", "qint4": "qint4", "qint2": "qint2", "qfloat8": "qfloat8_e4m3fn", "qfloat8_e5m2": "qfloat8_e5m2"}
HQQ = {"hqq-8bit": (8, 64), "hqq-4bit": (4, 64), "hqq-3bit": (3, 64), "hqq-2bit": (2, 16), "hqq:nbits=1,group_size=64": (1, 64)}


def float_model(source, **options):
    return AutoModel.from_pretrained(source, dtype=torch.float32, attn_implementation="eager", **options).eval()


def linears(model):
    return [(parent, name, child) for parent in list(model.modules()) for name, child in list(parent.named_children())
            if type(child) is torch.nn.Linear]


def by_bitsandbytes(source, method):
    if method == "int8":
        config = transformers.BitsAndBytesConfig(load_in_8bit=True)
    else:
        code, double = BITSANDBYTES[method]
        config = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=code, bnb_4bit_use_double_quant=double,
                                                 bnb_4bit_compute_dtype=torch.float32)
    return float_model(source, quantization_config=config, device_map="cpu")


def by_quanto(source, method):
    from optimum import quanto

    model = float_model(source)
    quanto.quantize(model, weights=quanto.qtypes[QUANTO[method]])
    quanto.freeze(model)
    return model


def by_torchao(source, method):
    import torchao.quantization as ao

    model = float_model(source)
    ao.quantize_(model, {"int8wo": ao.Int8WeightOnlyConfig, "int8dq": ao.Int8DynamicActivationInt8WeightConfig,
                         "float8wo": ao.Float8WeightOnlyConfig,
                         "float8dq": ao.Float8DynamicActivationFloat8WeightConfig}[method]())
    return model


def by_hqq(source, method):
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

    model, (bits, group) = float_model(source), HQQ[method]
    for parent, name, child in linears(model):
        setattr(parent, name, HQQLinear(child, BaseQuantizeConfig(nbits=bits, group_size=group), compute_dtype=torch.float32,
                                        device="cpu"))
    return model


def read_gguf(source, out):
    """The float model with the weights that the gguf package decodes from the file that precis wrote."""
    import gguf

    model = float_model(source)
    parameters = dict(model.named_parameters())
    file = next(out.rglob("*.gguf"))
    for tensor in gguf.GGUFReader(file).tensors:
        if tensor.name in parameters:
            numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            target = parameters[tensor.name]
            target.data = torch.from_numpy(np.array(numbers, dtype=np.float32)).reshape(target.shape)
    return model


def read_by_transformers(out, method):
    """What transformers loads; weights of a tensor class without products on a CPU are decoded by the class."""
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    options = {"device_map": "cpu"}
    if config["quant_method"] == "compressed-tensors":
        options["quantization_config"] = transformers.CompressedTensorsConfig(run_compressed=False)
    if config["quant_method"] == "fp8":
        options["quantization_config"] = transformers.FineGrainedFP8Config(dequantize=True)
    model = float_model(out, **options)
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if weight is not None and config["quant_method"] == "torchao" and hasattr(weight, "dequantize") and type(
                weight.data) is not torch.Tensor:
            module.weight = torch.nn.Parameter(weight.dequantize().float(), requires_grad=False)
    return model.float() if config["quant_method"] in ("compressed-tensors", "fp8") else model


def library_model(source, method, out):
    """(model, how): by the library that owns the method. out: what precis quantized with it. Raises where none can."""
    if method in BITSANDBYTES or method == "int8":
        return by_bitsandbytes(source, method), "bitsandbytes quantizes"
    if method in QUANTO:
        return by_quanto(source, method), "optimum-quanto quantizes"
    if method in HQQ:
        return by_hqq(source, method), "hqq quantizes"
    if method in ("int8wo", "int8dq", "float8wo", "float8dq"):
        return by_torchao(source, method), "torchao quantizes"
    if method.startswith("gguf:"):
        return read_gguf(source, out), "gguf decodes"
    return read_by_transformers(out, method), "transformers reads"

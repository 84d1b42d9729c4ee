"""Makes the files beside it: weights that ModelOpt 0.47 calibrates for AWQ and SmoothQuant with random activations, as its
exporter stores them, and what its quantized layer multiplies its inputs with: the weight after its quantizer, each column
times pre_quant_scale. Usage: make.py, with ModelOpt's package in PRECIS_MODELOPT."""
import copy
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[2] / "tests/oracle")]
sys.path.append(os.environ["PRECIS_MODELOPT"])
import torch  # noqa: E402
import modelopt.torch.quantization as mtq  # noqa: E402
from modelopt.torch.export.unified_export_hf import _export_quantized_weight  # noqa: E402

from tests.oracle.make_golden import save_case, weight  # noqa: E402

CASES = {"w4a16_awq": ("W4A16_AWQ", mtq.INT4_AWQ_CFG, 256), "w4a8_awq": ("W4A8_AWQ", mtq.W4A8_AWQ_BETA_CFG, 1408),
         "w8a8_sq": ("W8A8_SQ_PER_CHANNEL", mtq.INT8_SMOOTHQUANT_CFG, 160)}

for seed, (name, (algorithm, config, columns)) in enumerate(CASES.items()):
    torch.manual_seed(seed)
    given = weight(100 + seed, 20, columns, torch.float32, "gauss")
    model = torch.nn.Sequential(torch.nn.Linear(columns, 20, bias=False))
    model[0].weight.data.copy_(given)
    seen = torch.randn(64, columns) * torch.rand(columns) * 3
    layer = mtq.quantize(model, copy.deepcopy(config), forward_loop=lambda quantized: quantized(seen))[0]
    scale = layer.input_quantizer._pre_quant_scale.detach().clone().flatten()
    used = layer.weight_quantizer(layer.weight).detach() * scale
    _export_quantized_weight(layer, torch.float32)
    stored = {key: value.detach() for key, value in layer.state_dict().items() if "quantizer" not in key}
    stored["pre_quant_scale"] = scale
    tensors = {"input.weight": given, "used.weight": used,
               **{"expected." + key: value for key, value in stored.items()}}
    folder = "weight_only" if name == "w4a16_awq" else "pre_quant_scale"
    options = {"quant_algo": algorithm, "shape": [20, columns], "weight_dtype": "float32"}
    save_case(HERE / folder / f"{name}-20x{columns}-gauss.safetensors", "modelopt", options, tensors,
              packages=["nvidia-modelopt"])

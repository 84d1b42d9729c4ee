"""precis-validate --input: plugins that only read, held against the rules with what their own libraries made."""
import json
import pathlib
import subprocess

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
VALIDATE = ROOT / "build/bin/precis-validate"
GOLDEN = ROOT / "tests/oracle/golden"


def checkpoint(directory, tensors, config, module="layer"):
    directory.mkdir()
    save_file({f"{module}.{name}": tensor.contiguous() for name, tensor in tensors.items()}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_type": "none", "quantization_config": config}))
    return directory


def recorded(directory, case, config):
    beside = ROOT / "plugins" / case.split("/")[0] / "golden" / f"{case}.safetensors"
    with safe_open(beside if beside.exists() else GOLDEN / f"{case}.safetensors", "pt") as file:
        tensors = {name.removeprefix("expected."): file.get_tensor(name) for name in file.keys() if name.startswith("expected.")}
        options = {key: value for key, value in json.loads(file.metadata()["config"]).items() if key not in ("shape", "weight_dtype")}
    return checkpoint(directory, tensors, config(options))


def ternary(directory):
    from transformers.integrations.bitnet import pack_weights

    torch.manual_seed(3)
    tensors = {"weight": pack_weights(torch.randint(-1, 2, (64, 128)).float()), "weight_scale": torch.tensor([0.37])}
    return checkpoint(directory, tensors, {"quant_method": "bitnet", "linear_class": "autobitlinear"})


def experts(directory):
    with safe_open(GOLDEN / "mxfp4/gptoss-24x128-bf16-gauss.safetensors", "pt") as file:
        tensors = {f"down_proj_{name}": torch.stack([file.get_tensor(f"expected.{name}")] * 8) for name in ("blocks", "scales")}
    return checkpoint(directory, tensors, {"quant_method": "mxfp4"}, "layers.0.mlp.experts")


def auto_round(options):
    return {"quant_method": "auto-round", **options}


def quark(options):
    return {"quant_method": "quark", "global_quant_config": {"weight": {**options, "symmetric": True}}}


def modelopt(options):
    return {"quant_method": "modelopt", **options}


def vptq(options):
    return {"quant_method": "vptq", "config_for_layers": {"layer": options}}


def higgs(options):
    tuned = {"layer": {"template_id": options["template_id"]}}
    return {"quant_method": "higgs", "tune_metadata": tuned, **{key: options[key] for key in ("bits", "p", "group_size", "hadamard_size")}}


def spqr(_):
    return {"quant_method": "spqr", "bits": 3, "beta1": 16, "beta2": 16, "shapes": {}}


def fp_quant(options):
    return {"quant_method": "fp_quant", **options}


def sdnq(options):
    return {"quant_method": "sdnq", **options["options"]}


def nunchaku(options):
    if options["precision"] is None:
        return {"quant_method": "nunchaku_lite", "awq_w4a16": {"precision": "int4", "group_size": 64, "targets": ["layer"]}}
    group = {"int4": 64, "nvfp4": 16}[options["precision"]]
    return {"quant_method": "nunchaku_lite", "compute_dtype": "bfloat16",
            "svdq_w4a4": {"precision": options["precision"], "group_size": group, "rank": options["rank"], "targets": ["layer"]}}


INPUTS = {
    "vptq": [("vptq/outliers-22x68-bf16", vptq), ("vptq/perm-24x72-f16", vptq), ("vptq/groups-20x72-f16", vptq)],
    "higgs": [("higgs/2b-p1-template0-512x64-f16", higgs), ("higgs/4b-p2-template0-256x64-f16", higgs)],
    "spqr": [("spqr/csr-32x64", spqr), ("spqr/ptcsr-perm-64x40", spqr)],
    "fp_quant": [("fp_quant/nvfp4-16-12x256-f32", fp_quant), ("fp_quant/pseudo-mxfp4-32-12x256-bf16", fp_quant)],
    "sdnq": [("sdnq/uint4-8x96-bf16", sdnq), ("sdnq/uint3-codebook-g32-8x96-f32", sdnq), ("sdnq/uint1-8x96-f32", sdnq)],
    "nunchaku": [("nunchaku/svdq-int4-256x128-bf16", nunchaku), ("nunchaku/awq-12x192-bf16", nunchaku)],
    "auto_round": [("auto_round/4b-g32-asym-auto_gptq-32x128-f16-gauss", auto_round), ("auto_round/4b-g32-asym-auto_awq-32x128-f16-gauss", auto_round)],
    "modelopt": [("modelopt/nvfp4-20x128-bf16-gauss", modelopt), ("modelopt/fp8-20x128-bf16-gauss", modelopt)],
    "quark": [("quark/mxfp4-20x128-bf16-gauss", quark), ("quark/int8-channel-20x128-bf16-gauss", quark)],
    "bitnet": [ternary],
    "mxfp4": [experts],
}


def report(plugin, *options):
    library = ROOT / "build/lib/precis/plugins" / plugin
    if not library.exists():
        pytest.skip(f"{plugin} is not built")
    result = subprocess.run([str(part) for part in (VALIDATE, "validate", library, "--json", *options)], capture_output=True, text=True)
    return json.loads(result.stdout)


def rules(document, outcome):
    return {result["rule"]: result["text"] for result in document["results"] if result["outcome"] == outcome}


@pytest.mark.parametrize("plugin, number", [(plugin, number) for plugin, inputs in INPUTS.items() for number in range(len(inputs))])
def test_a_plugin_that_only_reads_is_tried_with_its_library_s_weights(tmp_path, plugin, number):
    source = INPUTS[plugin][number]
    made = source(tmp_path / "model") if callable(source) else recorded(tmp_path / "model", *source)
    document = report(plugin, "--input", made)
    assert rules(document, "failed") == {}
    tried = rules(document, "passed").keys()
    for group in ("dequantize.rows", "dequantize.damaged-parts", "loading.finds", "loading.damaged-checkpoints", "calls.concurrent", "process.memory"):
        assert group in tried, rules(document, "skipped").get(group)


def test_an_input_without_a_config_is_refused(tmp_path):
    save_file({"a.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    result = subprocess.run([str(VALIDATE), "validate", str(ROOT / "build/lib/precis/plugins/bitsandbytes"), "--input", str(tmp_path / "model.safetensors")],
                            capture_output=True, text=True)
    assert result.returncode == 2 and "has no quantization_config" in result.stderr and "hint" in result.stderr

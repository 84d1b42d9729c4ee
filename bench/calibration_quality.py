#!/usr/bin/env python3
"""What calibration gains: embeddings of a quantized sentence encoder against the float ones, on texts it was not calibrated with.

  calibration_quality.py MODEL_DIR CALIBRATION.txt TEST.txt [--bits 4,3] [--samples N] [--gptqmodel SRC] [--autoawq SRC]

MODEL_DIR is a BertModel directory, the files have one text in each line. SRC: unpacked source distributions of GPTQModel
and AutoAWQ; their own quantizers run on the same weights and texts, the model around them is transformers'. Prints for
each method the mean and the largest cosine distance.
"""
import argparse
import importlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import types

import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

GROUPS = [["attention.self.query", "attention.self.key", "attention.self.value"], ["attention.output.dense"],
          ["intermediate.dense"], ["output.dense"]]


def lines(path, count=None):
    return [line.strip() for line in open(path, encoding="utf8") if line.strip()][:count]


def load(model_dir):
    return AutoModel.from_pretrained(model_dir, dtype=torch.float32, attn_implementation="eager").eval()


@torch.inference_mode()
def embed(model, tokenizer, texts):
    vectors = []
    for text in texts:
        batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
        state = model(**batch).last_hidden_state[0].mean(0)
        vectors.append(state / state.norm())
    return torch.stack(vectors)


def precis_weights(precis, model_dir, spec, work, calibration=()):
    out, decoded = work / "out", work / "decoded"
    for folder in (out, decoded):
        subprocess.run(["rm", "-rf", folder], check=True)
    subprocess.run([precis, "quantize", model_dir, "-o", out, "--type", spec, "-q", *calibration], check=True)
    subprocess.run([precis, "dequantize", out, "-o", decoded, "--dtype", "f32", "-q"], check=True)
    return load_file(decoded / "model.safetensors")


def source_package(name, folder):
    """The package without what its __init__ asks of the machine."""
    package = types.ModuleType(name)
    package.__path__ = [str(pathlib.Path(folder) / name)]
    package.DEBUG_ON, package.DEVICE_THREAD_POOL = False, None
    sys.modules[name] = package


def stub(name, *members):
    """A module that the search does not call, with classes of these names."""
    module = types.ModuleType(name)
    for member in members:
        setattr(module, member, type(member, (), {}))
    sys.modules[name] = module


def blocks_with_inputs(model, tokenizer, texts):
    """Runs the texts block by block: yields each block and its inputs, and recomputes them behind it."""
    states = []
    with torch.no_grad():
        for text in texts:
            batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
            states.append(model.embeddings(input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"]))
        for block in model.encoder.layer:
            yield block, states
            states = [run(block, state) for state in states]


def run(block, state):
    out = block(state)
    return out[0] if isinstance(out, tuple) else out


def gptqmodel(model, tokenizer, texts, bits, group_size):
    from gptqmodel.quantization.config import QuantizeConfig
    from gptqmodel.quantization.gptq import GPTQ

    config = QuantizeConfig(bits=bits, group_size=group_size, desc_act=False, sym=True)
    for block, states in blocks_with_inputs(model, tokenizer, texts):
        for group in GROUPS:
            layers = {name: block.get_submodule(name) for name in group}
            solvers, hooks = {}, []
            for name, layer in layers.items():
                solvers[name] = GPTQ(layer, config)
                solvers[name].quantizer.configure(perchannel=True)
                hooks.append(layer.register_forward_hook(
                    lambda _, inputs, output, solver=solvers[name]: solver.add_batch(inputs[0].data, output.data)))
            for state in states:
                run(block, state)
            for hook in hooks:
                hook.remove()
            for name, layer in layers.items():
                layer.weight.data = solvers[name].quantize()[0].to(torch.float32)


def autoawq(model, tokenizer, texts, group_size):
    """AutoAWQ has no BERT: its scale search and clipping, on the pairs that a BERT block has."""
    from awq.quantize.quantizer import AwqQuantizer
    from awq.quantize.scale import apply_clip, apply_scale
    quantizer = AwqQuantizer.__new__(AwqQuantizer)
    quantizer.__dict__.update(w_bit=4, group_size=group_size, zero_point=True, duo_scaling=True, apply_clip=True,
                              max_chunk_memory=1 << 30, n_parallel_calib_samples=None)
    for block, states in blocks_with_inputs(model, tokenizer, texts):
        names = {layer: name for name, layer in block.named_modules() if isinstance(layer, torch.nn.Linear)}
        seen = {name: [] for name in names.values()}
        hooks = [layer.register_forward_hook(lambda _, inputs, __, name=name: seen[name].append(inputs[0].flatten(0, -2)))
                 for layer, name in names.items()]
        for state in states:
            run(block, state)
        for hook in hooks:
            hook.remove()
        inputs = {name: torch.cat(rows) for name, rows in seen.items()}
        value, out = block.attention.self.value, block.attention.output.dense
        with torch.no_grad():
            scale = quantizer._search_best_scale(block, prev_op=value, layers=[out], inp=inputs["attention.output.dense"],
                                                 module2inspect=out, kwargs={})
            apply_scale(block, [scale], input_feat_dict=inputs)
            clips = quantizer._search_best_clip(block, {name: layer for layer, name in names.items()}, inputs)
            apply_clip(block, clips)
            for layer in names:
                layer.weight.data = quantizer.pseudo_quantize_tensor(layer.weight.data)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "calibration", "test"):
        parser.add_argument(name)
    parser.add_argument("--bits", default="4,3")
    parser.add_argument("--group-size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--precis", default=pathlib.Path(__file__).parents[1] / "build/bin/precis")
    parser.add_argument("--gptqmodel")
    parser.add_argument("--autoawq")
    args = parser.parse_args()
    texts, test = lines(args.calibration, args.samples), lines(args.test)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    reference = embed(load(args.model), tokenizer, test)
    print(f"{len(texts)} texts to calibrate with, {len(test)} to test with")

    def report(name, model, seconds):
        distance = 1 - (embed(model, tokenizer, test) * reference).sum(1)
        print(json.dumps({"method": name, "mean_cosine_distance": round(distance.mean().item(), 7),
                          "largest": round(distance.max().item(), 7), "seconds": round(seconds, 1)}), flush=True)

    def of_precis(name, spec, *calibration):
        model, started = load(args.model), time.time()
        with tempfile.TemporaryDirectory() as work:
            weights = precis_weights(args.precis, args.model, spec, pathlib.Path(work), calibration)
        model.load_state_dict(weights, strict=False)
        report(name, model, time.time() - started)

    def of_peer(name, quantize, *options):
        model, started = load(args.model), time.time()
        quantize(model, tokenizer, texts, *options)
        report(name, model, time.time() - started)

    data = ("--calibration", args.calibration, "--samples", str(args.samples))
    if args.gptqmodel:
        source_package("gptqmodel", args.gptqmodel)
        importlib.import_module("gptqmodel.models")  # its modules import each other: the order matters
    if args.autoawq:
        source_package("awq", args.autoawq)
        stub("awq.modules.linear", "WQLinear_GEMM", "WQLinear_GEMV", "WQLinear_Marlin", "WQLinear_GEMVFast")
        stub("awq.utils.calib_data", "get_calib_dataset")
    for bits in map(int, args.bits.split(",")):
        spec = f"gptq:bits={bits},group_size={args.group_size}"
        of_precis(f"gptq {bits} bits, rounded to nearest", spec)
        of_precis(f"gptq {bits} bits, calibrated", spec + ",damp_percent=0.05", *data)
        if args.gptqmodel:
            of_peer(f"gptq {bits} bits, GPTQModel's quantizer", gptqmodel, bits, args.group_size)
        if bits == 4:
            spec = f"awq:bits=4,group_size={args.group_size}"
            of_precis("awq 4 bits, rounded to nearest", spec)
            of_precis("awq 4 bits, calibrated", spec, *data)
            if args.autoawq:
                of_peer("awq 4 bits, AutoAWQ's quantizer", autoawq, args.group_size)


if __name__ == "__main__":
    main()

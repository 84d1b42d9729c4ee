#!/usr/bin/env python3
"""Products of the Python libraries, for the rows of linear_bench: 4096 x 4096 weights, bfloat16 activations.

    bench/linear_peers.py [--threads N] [--rounds N] [--rows N...] [--processor-time] [--ggml FOLDER] [--json] [PEER...]

Without a PEER all that are installed: torch, bitsandbytes, optimum-quanto, torchao, diffusers (GGUF), and ggml where
FOLDER has libggml-base.so and libggml-cpu.so. Weights rotate through 256 MiB. Prints medians.
"""
import argparse
import json
import statistics
import sys
import time
import warnings

import torch

FEATURES = 4096
ROTATION = 256 << 20
ELEMENTS = FEATURES * FEATURES


def plain_linear(weight):
    layer = torch.nn.Linear(FEATURES, FEATURES, bias=False, dtype=torch.bfloat16)
    layer.weight = torch.nn.Parameter(weight.clone(), requires_grad=False)
    return layer


def bitsandbytes_4bit(kind):
    def make(weight):
        import bitsandbytes

        layer = bitsandbytes.nn.Linear4bit(FEATURES, FEATURES, bias=False, compute_dtype=torch.bfloat16, quant_type=kind,
                                           compress_statistics=False)
        layer.weight = bitsandbytes.nn.Params4bit(weight.clone(), requires_grad=False, quant_type=kind,
                                                  compress_statistics=False, module=layer)
        return layer.to("cpu").eval(), ELEMENTS // 2 + ELEMENTS // 16
    return make


def bitsandbytes_int8(weight):
    import bitsandbytes

    layer = bitsandbytes.nn.Linear8bitLt(FEATURES, FEATURES, bias=False, has_fp16_weights=False, threshold=6.0)
    layer.weight = bitsandbytes.nn.Int8Params(weight.clone(), requires_grad=False, has_fp16_weights=False)
    return layer.to("cpu").eval(), ELEMENTS


def int8_pack(weight):
    codes = torch.randint(-127, 128, (FEATURES, FEATURES), dtype=torch.int8)
    scales = torch.full((FEATURES,), 0.01, dtype=torch.bfloat16)
    return lambda x: torch._weight_int8pack_mm(x, codes, scales), ELEMENTS


def quanto(weights, size):
    def make(weight):
        from optimum import quanto as library

        model = torch.nn.Sequential(plain_linear(weight))
        library.quantize(model, weights=getattr(library, weights))
        library.freeze(model)
        return model, size
    return make


def torchao(config, size):
    def make(weight):
        from torchao import quantization as library

        model = torch.nn.Sequential(plain_linear(weight))
        library.quantize_(model, getattr(library, config)())
        return model, size
    return make


def diffusers_gguf(kind):
    def make(weight):
        import gguf
        from diffusers.quantizers.gguf.utils import GGUFLinear, GGUFParameter

        layer = GGUFLinear(FEATURES, FEATURES, bias=False, compute_dtype=torch.bfloat16)
        quant_type = getattr(gguf.GGMLQuantizationType, kind)
        block, size = gguf.GGML_QUANT_SIZES[quant_type]
        data = torch.randint(0, 256, (FEATURES, FEATURES // block * size), dtype=torch.uint8)
        layer.weight = GGUFParameter(data, quant_type=quant_type)
        return layer, data.numel()
    return make


GGML_TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS",
              "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4")


def ggml(kind):
    def make(weight):
        import gguf
        from ggml_products import Ggml, GgmlLinear

        if ggml_library.folder is None:
            raise ImportError("--ggml was not given")
        if ggml_library.loaded is None:
            ggml_library.loaded = Ggml(ggml_library.folder, ggml_library.threads)
        block, size = gguf.GGML_QUANT_SIZES[getattr(gguf.GGMLQuantizationType, kind)]
        return GgmlLinear(ggml_library.loaded, kind, FEATURES), ELEMENTS // block * size
    return make


class ggml_library:
    folder, threads, loaded = None, 1, None


PEERS = {
    "torch bfloat16": lambda weight: (plain_linear(weight), ELEMENTS * 2),
    "torch int8 weights": int8_pack,
    "bitsandbytes nf4": bitsandbytes_4bit("nf4"),
    "bitsandbytes fp4": bitsandbytes_4bit("fp4"),
    "bitsandbytes int8": bitsandbytes_int8,
    "quanto qint8": quanto("qint8", ELEMENTS),
    "quanto qfloat8": quanto("qfloat8", ELEMENTS),
    "quanto qint4": quanto("qint4", ELEMENTS // 2 + ELEMENTS // 32),
    "torchao int8wo": torchao("Int8WeightOnlyConfig", ELEMENTS),
    "torchao int8dq": torchao("Int8DynamicActivationInt8WeightConfig", ELEMENTS),
    "diffusers q4_0": diffusers_gguf("Q4_0"),
    "diffusers q8_0": diffusers_gguf("Q8_0"),
    "diffusers q4_k": diffusers_gguf("Q4_K"),
    "diffusers q6_k": diffusers_gguf("Q6_K"),
    **{f"ggml {kind.lower()}": ggml(kind) for kind in GGML_TYPES},
}


def measure(name, arguments):
    weight = torch.randn(FEATURES, FEATURES, dtype=torch.bfloat16) * 0.02
    first, size = PEERS[name](weight)
    layers = [first] + [PEERS[name](weight)[0] for _ in range(ROTATION // size)]
    now = (lambda: time.process_time() / arguments.threads) if arguments.processor_time else time.perf_counter
    for rows in arguments.rows:
        x = torch.randn(rows, FEATURES, dtype=torch.bfloat16)
        count = len(layers) if rows == 1 else min(len(layers), 8 if rows <= 32 else 2)
        for layer in layers[:count]:
            layer(x)
        times = []
        for _ in range(arguments.rounds):
            begin = now()
            for layer in layers[:count]:
                layer(x)
            times.append((now() - begin) / count)
        seconds = statistics.median(times)
        rate = size / seconds * 1e-9 if rows == 1 else 2 * rows * ELEMENTS / seconds * 1e-9
        unit = "GB/s" if rows == 1 else "GFLOP/s"
        if arguments.json:
            print(json.dumps({"peer": name, "rows": rows, "threads": arguments.threads, "seconds": seconds, "rate": rate,
                              "unit": unit}), flush=True)
        else:
            print(f"{name:<24} {rows:>4} rows {arguments.threads:>2} threads {rate:8.1f} {unit}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 32, 512])
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--ggml", metavar="FOLDER", help="with libggml-base.so and libggml-cpu.so")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.peers if name not in PEERS]
    if unknown:
        parser.error(f"no peer is called {unknown[0]!r}: {', '.join(PEERS)}")
    warnings.filterwarnings("ignore")
    torch.set_num_threads(arguments.threads)
    ggml_library.folder, ggml_library.threads = arguments.ggml, arguments.threads
    with torch.inference_mode():
        for name in arguments.peers or PEERS:
            try:
                measure(name, arguments)
            except (ImportError, AttributeError, NotImplementedError, RuntimeError) as error:
                print(f"{name}: not measured, {error}", file=sys.stderr)


if __name__ == "__main__":
    main()

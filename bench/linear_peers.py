#!/usr/bin/env python3
"""Products of the Python libraries, for the rows of linear_bench: 4096 x 4096 weights, bfloat16 activations.

    bench/linear_peers.py [--threads N] [--rounds N] [--processor-time]

Needs torch and, for nf4, bitsandbytes. Weights rotate through 256 MiB. Prints medians.
"""
import argparse
import statistics
import time
import warnings

import torch

FEATURES = 4096
ROTATION = 256 << 20


def bfloat16_linear(weight):
    layer = torch.nn.Linear(FEATURES, FEATURES, bias=False, dtype=torch.bfloat16)
    layer.weight = torch.nn.Parameter(weight.clone(), requires_grad=False)
    return layer, weight.numel() * 2


def bitsandbytes_nf4(weight):
    import bitsandbytes

    layer = bitsandbytes.nn.Linear4bit(FEATURES, FEATURES, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4",
                                       compress_statistics=False)
    layer.weight = bitsandbytes.nn.Params4bit(weight.clone(), requires_grad=False, quant_type="nf4",
                                              compress_statistics=False, module=layer)
    return layer.to("cpu").eval(), weight.numel() // 2 + weight.numel() // 16


def bitsandbytes_int8(weight):
    import bitsandbytes

    layer = bitsandbytes.nn.Linear8bitLt(FEATURES, FEATURES, bias=False, has_fp16_weights=False, threshold=6.0)
    layer.weight = bitsandbytes.nn.Int8Params(weight.clone(), requires_grad=False, has_fp16_weights=False)
    return layer.to("cpu").eval(), weight.numel()


def int8_pack(weight):
    codes = torch.randint(-127, 128, (FEATURES, FEATURES), dtype=torch.int8)
    scales = torch.full((FEATURES,), 0.01, dtype=torch.bfloat16)
    return lambda x: torch._weight_int8pack_mm(x, codes, scales), weight.numel()


def measure(name, make, arguments):
    weight = torch.randn(FEATURES, FEATURES, dtype=torch.bfloat16) * 0.02
    first, size = make(weight)
    layers = [first] + [make(weight)[0] for _ in range(ROTATION // size)]
    now = (lambda: time.process_time() / arguments.threads) if arguments.processor_time else time.perf_counter
    for rows in (1, 32, 512):
        x = torch.randn(rows, FEATURES, dtype=torch.bfloat16)
        count = len(layers) if rows == 1 else 8 if rows == 32 else 2
        for layer in layers[:count]:
            layer(x)
        times = []
        for _ in range(arguments.rounds):
            begin = now()
            for layer in layers[:count]:
                layer(x)
            times.append((now() - begin) / count)
        seconds = statistics.median(times)
        rate = size / seconds * 1e-9 if rows == 1 else 2 * rows * FEATURES**2 / seconds * 1e-9
        print(f"{name:<24} {rows:>4} rows {arguments.threads:>2} threads {rate:8.1f} "
              f"{'GB/s' if rows == 1 else 'GFLOP/s'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        measure("torch bfloat16", bfloat16_linear, arguments)
        measure("torch int8 weights", int8_pack, arguments)
        for name, make in (("bitsandbytes nf4", bitsandbytes_nf4), ("bitsandbytes int8", bitsandbytes_int8)):
            try:
                measure(name, make, arguments)
            except ImportError as error:
                print(f"{name}: not measured, {error}")


if __name__ == "__main__":
    main()

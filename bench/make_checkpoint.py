#!/usr/bin/env python3
"""Makes a large checkpoint to measure on: a diffusers-style transformer in bfloat16, in several shards.

Usage: make_checkpoint.py OUT [GIB] [SHARDS] [--sparse]      needs numpy
--sparse: headers and empty space of the right size alone, to measure what reads no data.
Weights are normal with heavy channels, so that every block has a scale of its own; zeros and constants would
make every benchmark lie."""
import json
import os
import struct
import sys

import numpy as np

WIDTH = 3072
BLOCK = {"attn.to_q": (WIDTH, WIDTH), "attn.to_k": (WIDTH, WIDTH), "attn.to_v": (WIDTH, WIDTH),
         "attn.to_out.0": (WIDTH, WIDTH), "ff.net.0.proj": (4 * WIDTH, WIDTH), "ff.net.2": (WIDTH, 4 * WIDTH)}


def bfloat16_bytes(values):
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()


def main():
    sparse = "--sparse" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--sparse"]
    out = arguments[0]
    gib = float(arguments[1]) if len(arguments) > 1 else 6.2
    shards = int(arguments[2]) if len(arguments) > 2 else 4
    os.makedirs(out, exist_ok=True)
    block_bytes = sum(2 * o * i + 2 * o for o, i in BLOCK.values())
    blocks = int(gib * 2**30 / block_bytes) + 1
    rng = np.random.default_rng(0)
    # One pool of random numbers, read at shifting offsets: fast, and no two tensors are equal.
    pool = None if sparse else rng.standard_normal(64 << 20, dtype=np.float32) * 0.02
    weight_map = {}
    total = 0
    for shard in range(shards):
        name = f"diffusion_pytorch_model-{shard + 1:05}-of-{shards:05}.safetensors"
        tensors = []
        for block in range(shard * blocks // shards, (shard + 1) * blocks // shards):
            for leaf, (rows, columns) in BLOCK.items():
                tensors.append((f"transformer_blocks.{block}.{leaf}.weight", [rows, columns]))
                tensors.append((f"transformer_blocks.{block}.{leaf}.bias", [rows]))
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for tensor, shape in tensors:
            size = 2 * int(np.prod(shape))
            header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
            weight_map[tensor] = name
            offset += size
            total += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(os.path.join(out, name), "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            if sparse:
                file.truncate(8 + len(text) + offset)
                continue
            for tensor, shape in tensors:
                count = int(np.prod(shape))
                start = int(rng.integers(0, len(pool) - count)) if count < len(pool) else 0
                values = pool[start:start + count].copy()
                if len(shape) == 2:
                    values.reshape(shape)[:, rng.integers(0, shape[1], 8)] *= 6
                file.write(bfloat16_bytes(values))
            print(f"{name}: {offset} bytes", flush=True)
    with open(os.path.join(out, "diffusion_pytorch_model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, file, indent=2, sort_keys=True)
    with open(os.path.join(out, "config.json"), "w") as file:
        json.dump({"_class_name": "FluxTransformer2DModel"}, file)
    print(f"{total} bytes, {total // 2} parameters in {blocks} blocks")


if __name__ == "__main__":
    main()

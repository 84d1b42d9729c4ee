#!/usr/bin/env python3
"""Time from a cold process to the first token of a quantized Llama, beside reading its files once.

    bench/first_forward.py WORK_DIR [--methods nf4,int8,gptq-4bit] [--layers 16] [--rounds 3] [--threads N] [--json FILE]

Makes a Llama of seeded weights in WORK_DIR (hidden 2048, 16 layers: 0.8 billion parameters), quantizes it by every method,
then lets `precis complete --tokens 1`, a plain read of the same files and a start of the program that does nothing (LibTorch
is most of it) take turns. Cold: the files are dropped from the
page cache before each. Warm: they are in it. Needs the Python libraries of tests/interop/requirements.txt and a build with
LibTorch."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PRECIS = ROOT / "build" / "bin" / "precis"
PROMPT = "the lighthouse"


def make_llama(directory, layers):
    if (directory / "config.json").exists():
        return
    sys.path.insert(0, str(ROOT / "tests/models"))
    import torch
    from small_tokenizers import llama_tokenizer
    from transformers import LlamaConfig, LlamaForCausalLM

    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = llama_tokenizer(directory, 384)
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=2048, intermediate_size=5632, num_hidden_layers=layers,
                         num_attention_heads=16, num_key_value_heads=4, max_position_embeddings=512, bos_token_id=1, eos_token_id=2)
    LlamaForCausalLM(config).save_pretrained(directory, max_shard_size="1GB")


def weights_of(directory):
    return sorted(file for file in directory.iterdir() if file.suffix in (".safetensors", ".gguf"))


def drop_from_cache(files):
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read(files):
    buffer = bytearray(8 << 20)
    begin = time.perf_counter()
    for file in files:
        with open(file, "rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass
    return time.perf_counter() - begin


def run(*arguments):
    begin = time.perf_counter()
    result = subprocess.run([str(PRECIS), "complete", *arguments], capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if result.returncode != 0:
        sys.exit(result.stdout.strip() or result.stderr.strip())
    return seconds


def first_token(directory, threads):
    return run(str(directory), "--prompt", PROMPT, "--tokens", "1", "--dtype", "bf16", "--threads", str(threads), "--json", "--quiet")


def measure(directory, rounds, threads):
    files = weights_of(directory)
    row = {"bytes": sum(file.stat().st_size for file in files)}
    for state in ("cold", "warm"):
        turns = {"read": (lambda: read(files), []), "start": (lambda: run("--help"), []),
                 "first_token": (lambda: first_token(directory, threads), [])}
        for _ in range(rounds):
            for work, times in turns.values():
                if state == "cold":
                    drop_from_cache(files)
                times.append(work())
        row[state] = {name: statistics.median(times) for name, (_, times) in turns.items()}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--methods", default="nf4,int8,gptq-4bit,quanto:weights=int8")
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=pathlib.Path)
    a = parser.parse_args()
    source = a.work / f"llama-{a.layers}"
    make_llama(source, a.layers)
    rows = {"bfloat16": measure(source, a.rounds, a.threads)}
    for method in a.methods.split(","):
        output = a.work / f"{source.name}-{method.replace(':', '-').replace('=', '-')}"
        if not output.exists():
            subprocess.run([str(PRECIS), "quantize", str(source), "-o", str(output), "--type", method, "--quiet"], check=True)
        rows[method] = measure(output, a.rounds, a.threads)
    print("| weights | MB | cache | start, s | read, s | first token, s | over start and read |\n|" + "---|" * 7)
    for name, row in rows.items():
        for state in ("cold", "warm"):
            start, reading, token = (row[state][key] for key in ("start", "read", "first_token"))
            print(f"| {name} | {row['bytes'] / 1e6:.0f} | {state} | {start:.2f} | {reading:.2f} | {token:.2f} | "
                  f"{token / (start + reading):.2f} |")
    if a.json:
        a.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

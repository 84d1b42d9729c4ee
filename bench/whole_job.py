#!/usr/bin/env python3
"""Times `precis quantize` beside a plain copy that reads the same input and writes as many bytes.

Usage: whole_job.py SOURCE WORK_DIR [--methods nf4,int8] [--threads 2] [--rounds 3] [--cold]

Both end with their output on the disk (fsync). They take turns, so that what else the machine does meets them
alike; each row is the best of its rounds. --cold drops the page cache before every run (needs root)."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import time

CHUNK = 8 << 20


def drop_caches():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("1")


def plain_copy(source, target, output_bytes):
    """Reads all of SOURCE, writes output_bytes of it and syncs; through one buffer that is used again."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    input_bytes = sum(path.stat().st_size for path in files)
    buffer = memoryview(bytearray(CHUNK))
    read = written = 0
    begin = time.monotonic()
    with open(target, "wb", buffering=0) as out:
        os.posix_fallocate(out.fileno(), 0, output_bytes)
        for path in files:
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    read += count
                    due = output_bytes * read // input_bytes
                    while written < due:
                        written += out.write(buffer[:min(due - written, CHUNK)])
        os.fsync(out.fileno())
    seconds = time.monotonic() - begin
    os.unlink(target)
    return seconds


def quantize(precis, source, target, method, threads):
    begin = time.monotonic()
    result = subprocess.run([precis, "quantize", source, "-o", target, "--type", method, "--threads", str(threads),
                             "--max-memory", "512MiB", "--progress", "none", "--json"],
                            check=True, capture_output=True, text=True)
    seconds = time.monotonic() - begin
    usage = os.times()
    report = json.loads(result.stdout)
    size = sum(path.stat().st_size for path in pathlib.Path(target).rglob("*") if path.is_file())
    shutil.rmtree(target)
    return seconds, size, report, usage.children_user + usage.children_system


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--methods", default="nf4,int8,qfloat8,q8_0,q4_0,q4_k")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true")
    arguments = parser.parse_args()
    precis = os.environ.get("PRECIS", str(pathlib.Path(__file__).parent.parent / "build/bin/precis"))
    arguments.work.mkdir(parents=True, exist_ok=True)
    out = arguments.work / "out"
    print(f"{'method':<10} {'threads':>7} {'seconds':>8} {'CPU s':>6} {'copy s':>7} {'ratio':>6} {'peak MB':>8} "
          f"{'predicted':>9}")
    for method in arguments.methods.split(","):
        best, copy, cpu = float("inf"), float("inf"), float("inf")
        for _ in range(arguments.rounds):
            if arguments.cold:
                drop_caches()
            before = os.times()
            seconds, size, report, spent = quantize(precis, arguments.source, out, method, arguments.threads)
            best = min(best, seconds)
            cpu = min(cpu, spent - before.children_user - before.children_system)
            if arguments.cold:
                drop_caches()
            copy = min(copy, plain_copy(arguments.source, arguments.work / "copy", size))
        print(f"{method:<10} {arguments.threads:>7} {best:>8.2f} {cpu:>6.2f} {copy:>7.2f} {best / copy:>6.2f} "
              f"{report['peak_memory_bytes'] / 1e6:>8.1f} {report['predicted_peak_memory_bytes'] / 1e6:>9.1f}",
              flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Times `precis quantize` beside the Python libraries and llama-quantize: one Llama, the same type, from files to files.

    bench/whole_job_peers.py WORK_DIR [--layers 16] [--rounds 3] [--threads 2] [--only REGEX] [--llama-cpp DIR] [--json FILE]

Makes a Llama of seeded weights in bfloat16 in WORK_DIR (bench/first_forward.py; 16 layers: 0.8 billion parameters), then lets
precis and each peer take turns: load, quantize, save, sync. A peer's imports are not counted, precis is timed from its start,
and what it measures and hashes besides is counted. Peaks: growth of anonymous memory (RssAnon), of a Python peer from the end
of its imports on. --llama-cpp: a build directory of llama.cpp; its converter makes the GGUF file that both it and precis read.
Needs the Python libraries of tests/interop/requirements.txt."""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PRECIS = os.environ.get("PRECIS", str(HERE.parent / "build/bin/precis"))


def through_transformers(config):
    import torch
    from transformers import AutoModelForCausalLM

    def job(source, out):
        model = AutoModelForCausalLM.from_pretrained(source, quantization_config=config, dtype=torch.bfloat16, device_map="cpu")
        model.save_pretrained(out)
    return job


def bitsandbytes(**options):
    import bitsandbytes  # noqa: F401: its import is not part of the job
    import torch
    from transformers import BitsAndBytesConfig
    return through_transformers(BitsAndBytesConfig(bnb_4bit_compute_dtype=torch.bfloat16, **options))


def torchao(name):
    from torchao import quantization
    from transformers import TorchAoConfig
    return through_transformers(TorchAoConfig(getattr(quantization, name)()))


def quanto(weights):
    import torch
    from optimum import quanto as library
    from transformers import AutoModelForCausalLM

    def job(source, out):
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16)
        library.QuantizedModelForCausalLM.quantize(model, weights=getattr(library, weights), exclude="lm_head").save_pretrained(out)
    return job


def gguf_python(kind):
    import gguf

    def job(source, out):
        reader = gguf.GGUFReader(source)
        pathlib.Path(out).mkdir()
        writer = gguf.GGUFWriter(str(pathlib.Path(out) / "model.gguf"), "llama")
        wanted = gguf.GGMLQuantizationType[kind]
        for tensor in reader.tensors:
            data = gguf.dequantize(tensor.data, tensor.tensor_type)
            small = data.ndim < 2
            writer.add_tensor(tensor.name, data if small else gguf.quantize(data, wanted), raw_dtype=None if small else wanted)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return job


# precis' spec: whether the GGUF file is read, and the peers with what makes their job, or llama-quantize's type.
JOBS = {
    "nf4": (False, {"bitsandbytes": lambda: bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="nf4")}),
    "int8": (False, {"bitsandbytes": lambda: bitsandbytes(load_in_8bit=True)}),
    "qint8": (False, {"optimum-quanto": lambda: quanto("qint8")}),
    "qint4": (False, {"optimum-quanto": lambda: quanto("qint4")}),
    "qfloat8": (False, {"optimum-quanto": lambda: quanto("qfloat8")}),
    "int8wo": (False, {"torchao": lambda: torchao("Int8WeightOnlyConfig")}),
    "q8_0": (True, {"gguf": lambda: gguf_python("Q8_0"), "llama-quantize": "q8_0"}),
    "q4_0": (True, {"gguf": lambda: gguf_python("Q4_0"), "llama-quantize": "q4_0"}),
    "q4_k": (True, {"llama-quantize": "q4_K_S"}),
    "q6_k": (True, {"llama-quantize": "q6_K"}),
}


def sync_files(out):
    for path in [pathlib.Path(out), *pathlib.Path(out).rglob("*")]:
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def anonymous_memory(process="self"):
    try:
        status = pathlib.Path(f"/proc/{process}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) * 1024
    except (OSError, AttributeError):
        return 0


class Peak:
    """The largest RssAnon of a process while it lives, or of this one until stop()."""

    def __init__(self, process="self"):
        self.process, self.bytes, self.running = process, 0, True
        self.first = anonymous_memory() if process == "self" else 0
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while self.running:
            self.bytes = max(self.bytes, anonymous_memory(self.process))
            time.sleep(0.01)

    def stop(self):
        self.running = False
        self.thread.join()
        return self.bytes - self.first


def run_peer(spec, peer, source, out, threads):
    """Runs in a process of its own: prints what the job took."""
    import torch

    torch.set_num_threads(threads)
    job = JOBS[spec][1][peer]()
    peak = Peak()
    begin, used = time.perf_counter(), time.process_time()
    job(source, out)
    sync_files(out)
    taken = {"seconds": time.perf_counter() - begin, "processor_seconds": time.process_time() - used}
    print(json.dumps({**taken, "peak_bytes": peak.stop()}))


def run_program(command, out):
    begin, used = time.perf_counter(), os.times()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = Peak(process.pid)
    text = process.communicate()[0]
    peak_bytes = peak.stop()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{text[-2000:]}")
    sync_files(out)
    now = os.times()
    return {"seconds": time.perf_counter() - begin, "peak_bytes": peak_bytes,
            "processor_seconds": now.children_user + now.children_system - used.children_user - used.children_system}


def run_precis(spec, source, out, threads):
    extra = [] if source.suffix == ".gguf" else ["--skip", "lm_head"]
    return run_program([PRECIS, "quantize", source, "-o", out, "--type", spec, "--threads", threads, "--quiet", *extra], out)


def run_other(spec, peer, source, out, threads, llama_cpp):
    if peer == "llama-quantize":
        out.mkdir()
        kind = JOBS[spec][1][peer]
        # --pure: one type for every matrix, as precis is asked for.
        return run_program([llama_cpp / "bin/llama-quantize", "--pure", source, out / "model.gguf", kind, threads], out)
    done = subprocess.run([sys.executable, __file__, "--peer", spec, peer, str(source), str(out), str(threads)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{peer} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def remove(out):
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)


def make_gguf(llama, llama_cpp):
    target = llama.with_suffix(".gguf")
    if not target.exists():
        converter = llama_cpp.resolve().parent / "convert_hf_to_gguf.py"
        subprocess.run([sys.executable, str(converter), str(llama), "--outfile", str(target), "--outtype", "bf16"], check=True)
    return target


def measure(spec, source, work, arguments):
    peers = [peer for peer in JOBS[spec][1] if peer != "llama-quantize" or arguments.llama_cpp is not None]
    taken = {name: [] for name in ["precis", *peers]}
    out = work / "out"
    for _ in range(arguments.rounds):
        for name, runs in taken.items():
            remove(out)
            run = (run_precis(spec, source, out, arguments.threads) if name == "precis" else
                   run_other(spec, name, source, out, arguments.threads, arguments.llama_cpp))
            size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) if out.is_dir() else out.stat().st_size
            runs.append({**run, "bytes": size})
    remove(out)
    return {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in taken.items()}


def main():
    if sys.argv[1:2] == ["--peer"]:
        spec, peer, source, out, threads = sys.argv[2:]
        return run_peer(spec, peer, source, out, int(threads))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="of the types, a regular expression")
    parser.add_argument("--llama-cpp", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE))
    from first_forward import make_llama

    llama = arguments.work / f"llama-{arguments.layers}"
    make_llama(llama, arguments.layers)
    gguf = None if arguments.llama_cpp is None else make_gguf(llama, arguments.llama_cpp)
    rows = {}
    print("| type | with | seconds | processor seconds | peak MB | MB written | over precis | processor time over precis |\n" + "|---" * 8 + "|")
    for spec, (of_gguf, _) in JOBS.items():
        source = gguf if of_gguf else llama
        if source is None or not re.search(arguments.only, spec):
            continue
        rows[spec] = measure(spec, source, arguments.work, arguments)
        own = rows[spec]["precis"]
        for name, row in rows[spec].items():
            print(f"| {spec} | {name} | {row['seconds']:.2f} | {row['processor_seconds']:.2f} | {row['peak_bytes'] / 1e6:.0f} | "
                  f"{row['bytes'] / 1e6:.0f} | {row['seconds'] / own['seconds']:.1f} | "
                  f"{row['processor_seconds'] / own['processor_seconds']:.1f} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

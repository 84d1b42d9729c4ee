#!/usr/bin/env python3
"""The tables of the Quanto and Diffusers article with precis and, in turn with it, diffusers: memory, latency, quality.

    bench/pipelines/seeds.py WORK_DIR [--rounds 2] [--only REGEX] [--json FILE]

Makes PixArt-Sigma, SD3 and AuraFlow pipelines of the true architecture with fewer and narrower layers (see REDUCED) in
WORK_DIR. Time is the processor's, of one thread, so that other work on the machine counts little. Needs the Python libraries of tests/interop/requirements.txt and a build with LibTorch."""
import argparse
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import types

from measure import PRECIS, ROOT, PeakOf, psnr, read_images, ssim, table, write_json
from seeds_rows import rows

# Width 1024 in place of 1152 (PixArt), 1536 (SD3) and 3072 (AuraFlow), 6 layers in place of 28, 24 and 36.
REDUCED = dict(heads=16, head=64, layers=6, single=6, t5=(1024, 16, 16, 2816), clip=((512, 4), (768, 6)),
               vae=(32, 64, 128, 128), groups=16, pixels=256, vocab=2048, steps=4, length=64)
RUN = dict(prompt="a red fox in the snow, watercolor", steps=2, seed=7, pixels=128, length=64)
BITSANDBYTES = {"nf4", "fp4", "int8"}


def make_pipeline(work, family):
    directory = work / f"{family}-seeds-bf16"
    if not (directory / "model_index.json").exists():
        sys.path.insert(0, str(ROOT / "tests/models"))
        import make_pipelines

        make_pipelines.SIZES["seeds"] = REDUCED
        make_pipelines.make(directory, family, types.SimpleNamespace(
            size="seeds", seed=0, dtype="bf16", tokenizers=None, t5_layers=None, only=None, shard="10GB", variant=None))
    return directory


class Precis:
    """One row by `precis generate`: a process an image."""

    def __init__(self, source, row, work, threads):
        self.output = work / "precis.png"
        self.command = [str(PRECIS), "generate", str(source), "--prompt", RUN["prompt"], "--steps", RUN["steps"], "--seed",
                        RUN["seed"], "--height", RUN["pixels"], "--width", RUN["pixels"], "--max-sequence-length",
                        RUN["length"], "--dtype", row.dtype, "--images", row.images, "--threads", threads, "-o", self.output,
                        "--json", "--quiet"] + method_options(row)
        self.seconds, self.report = [], None

    def run(self):
        result = subprocess.run([str(word) for word in self.command], capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.strip() or result.stdout.strip())
        self.report = json.loads(result.stdout)
        self.seconds.append(self.report["generate_processor_seconds"])

    def result(self):
        bytes_of = {c["name"]: c["loaded_bytes"] for c in self.report["components"]}
        return dict(bytes=bytes_of, load_peak=self.report["load_peak_bytes"], peak=self.report["peak_bytes"],
                    seconds=statistics.median(self.seconds), files=self.report["outputs"])


def method_options(row):
    """As the Python library chooses layers: quanto every Linear, bitsandbytes in transformers all but T5's wo."""
    options = ["--fuse-qkv"] if row.fuse_qkv else []
    for component, method in row.methods.items():
        options += ["--component", f"{component}={method}"]
    if row.methods:
        options.append("--no-default-skips")
    if "transformer" in row.methods and row.exclude:
        options += ["--skip", rf"^transformer\.{row.exclude}\."]
    if BITSANDBYTES & {method for name, method in row.methods.items() if name != "transformer"}:
        options += ["--skip", r"\.wo\.weight$"]
    return options


class Library:
    """The same row by diffusers: one Python process, whose memory counts from the end of its imports on."""

    def __init__(self, source, row, work, threads, save=None):
        program = pathlib.Path(__file__).with_name("library_pipeline.py")
        self.process = subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.seconds, self.files = [], []
        self.tell(dict(source=str(source), family=row.family, methods=row.methods, dtype=row.dtype, images=row.images,
                       fuse_qkv=row.fuse_qkv, exclude=row.exclude, output=str(work / "library"), threads=threads, save=save,
                       **RUN))
        self.versions = self.answer()["versions"]
        self.memory = PeakOf(self.process.pid)
        self.tell("load")
        self.bytes = self.answer()["loaded"]
        self.load_peak = self.memory.growth()

    def tell(self, message):
        self.process.stdin.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": "the process died"}
        if "error" in reply:
            self.close()
            raise RuntimeError(reply["error"])
        return reply

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def run(self):
        self.tell("run")
        reply = self.answer()
        self.seconds.append(reply["seconds"])
        self.files = reply["files"]

    def end(self):
        peak = self.memory.growth()
        self.memory.stop()
        self.close()
        return dict(bytes=self.bytes, load_peak=self.load_peak, peak=peak, seconds=statistics.median(self.seconds[1:]),
                    files=self.files)


def take_turns(source, row, work, arguments):
    """Rounds of both, one after the other; the library's first image, which warms it up, is not counted."""
    ours = Precis(source, row, work, arguments.threads)
    try:
        library = Library(source, row, work, arguments.threads)
        library.run()
    except RuntimeError as error:
        library, failure = None, str(error)
    for _ in range(arguments.rounds):
        ours.run()
        if library:
            library.run()
    return ours.result(), library.end() if library else {"error": failure}


def quality(result, reference):
    images = read_images(result["files"])
    result["psnr_db"], result["ssim"] = psnr(images, reference), ssim(images, reference)
    return images


def float_images(source, family, images, work, arguments, known={}):
    """float32 images of the same weights by each program: what its quantized ones are compared with."""
    if (family, images) not in known:
        row = types.SimpleNamespace(family=family, methods={}, dtype="f32", images=images, fuse_qkv=False, exclude=None)
        ours = Precis(source, row, work, arguments.threads)
        ours.run()
        library = Library(source, row, work, arguments.threads)
        library.run(), library.run()
        known[family, images] = read_images(ours.result()["files"]), read_images(library.end()["files"])
    return known[family, images]


def measure(source, row, work, arguments):
    references = float_images(source, row.family, row.images, work, arguments)
    ours, library = take_turns(source, row, work, arguments)
    images = quality(ours, references[0])
    record = dict(table=row.table, family=row.family, label=row.label, dtype=row.dtype, images=row.images,
                  published=row.published, precis=ours, library=library)
    if "error" not in library:
        record["between_psnr_db"] = psnr(images, quality(library, references[1]))
        record["latency_ratio"] = ours["seconds"] / library["seconds"]
    return record


def megabytes(value):
    return f"{value / 1e6:.1f}"


def encoders(bytes_of):
    return sum(size for name, size in bytes_of.items() if name.startswith("text_encoder"))


def pair(record, value):
    """"precis / library"."""
    theirs = "-" if "error" in record["library"] else value(record["library"])
    return f"{value(record['precis'])} / {theirs}"


def decibels(value):
    return "equal" if value == float("inf") else f"{value:.1f}"


def cells(record):
    return [record["label"] + ("" if record["dtype"] == "bf16" else f" ({record['dtype']})"),
            pair(record, lambda r: megabytes(r["bytes"]["transformer"])), pair(record, lambda r: megabytes(encoders(r["bytes"]))),
            pair(record, lambda r: megabytes(r["load_peak"])), pair(record, lambda r: megabytes(r["peak"])),
            f"{record['latency_ratio']:.2f}" if "latency_ratio" in record else "the library fails",
            " / ".join("-" if factor is None else f"{factor:.2f}" for factor in record["relative_latency"]),
            pair(record, lambda r: decibels(r["psnr_db"])), pair(record, lambda r: f"{r['ssim']:.3f}"),
            decibels(record["between_psnr_db"]) if "between_psnr_db" in record else "-", record["published"] or "-"]


HEADER = ["row", "transformer, MB", "encoders, MB", "peak loading, MB", "peak, MB", "time, precis over library",
          "time over float", "PSNR to float32, dB", "SSIM", "between the two, dB", "published, GiB / s"]


def add_relative_latency(records):
    """Each program's seconds over those of its own float row of as many images, which was measured earlier."""
    floats = {(r["family"], r["images"]): r for r in records if r["label"].startswith("float")}
    for record in records:
        base = floats.get((record["family"], record["images"]))
        relative = lambda side: (record[side]["seconds"] / base[side]["seconds"]
                                 if base and "seconds" in record[side] and "seconds" in base[side] else None)
        record["relative_latency"] = [relative("precis"), relative("library")]


def saved_sizes(work, arguments):
    """Bytes of the saved transformer: float32 (4 a parameter), and by precis and optimum-quanto."""
    source, records = make_pipeline(work, "pixart"), []
    for method in ("qfloat8", "qint8", "qint4"):
        out, theirs = work / "saved", work / "saved-library"
        for directory in (out, theirs):
            shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([PRECIS, "quantize", source / "transformer", "-o", out, "--type", method, "--no-default-skips",
                        "--progress", "none", "--quiet"], check=True, capture_output=True)
        size = lambda directory: sum(file.stat().st_size for file in directory.rglob("*.safetensors"))
        row = types.SimpleNamespace(family="pixart", methods={"transformer": method}, dtype="bf16", images=1, fuse_qkv=False,
                                    exclude=None)
        record = dict(method=method, float32=2 * size(source / "transformer"), precis=size(out))
        try:
            library = Library(source, row, work, arguments.threads, save=str(theirs))
            library.memory.stop(), library.close()
            record["library"] = size(theirs)
        except RuntimeError as error:
            record["library_error"] = str(error)
        records.append(record)
    return records


def print_tables(records, saved):
    for name in dict.fromkeys((r["family"], r["table"]) for r in records):
        print(f"\n{name[0]}, {name[1]}\n\n" + table(HEADER, [cells(r) for r in records if (r["family"], r["table"]) == name]))
    print("\nsaved transformer, MB\n\n" + table(
        ["method", "float32", "precis", "optimum-quanto"],
        [[s["method"], megabytes(s["float32"]), megabytes(s["precis"]), megabytes(s["library"]) if "library" in s else
          s["library_error"]] for s in saved]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", metavar="REGEX", help="rows whose 'family table label' it finds")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    records = []
    for row in rows():
        if not re.search(arguments.only, f"{row.family} {row.table} {row.label}"):
            continue
        source = make_pipeline(arguments.work, row.family)
        records.append(measure(source, row, arguments.work, arguments))
        add_relative_latency(records)
        if arguments.json:
            write_json(arguments.json, {"run": RUN, "reduced": REDUCED, "rows": records})
        print(row.family, row.table, " | ".join(map(str, cells(records[-1]))), file=sys.stderr, flush=True)
    saved = saved_sizes(arguments.work, arguments)
    print_tables(records, saved)
    if arguments.json:
        write_json(arguments.json, {"run": RUN, "reduced": REDUCED, "rows": records, "saved": saved})


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Codecs and products of every format beside the machine's limits and other libraries: text, JSON and a picture.

    bench/table.py BUILD [--threads 1 2] [--rounds N] [--only codecs|products|presets] [--filter REGEX] [--processor-time]
                   [--ggml LIBRARY] [--bitsandbytes LIBRARY] [--round-activations FOLDER] [--markdown] [--json FILE]
                   [--picture FILE.svg]

BUILD has bin/codec_bench and bin/linear_bench (cmake --preset release -DPRECIS_BENCH=ON). Limits, precis and the peers
take turns: a format's peers run right behind it. The peers of products come with the Python libraries of the tests
(bench/linear_peers.py); ggml's codecs need its library. Shares are of the limit measured in the same minutes.
--round-activations measures the products of GGUF's types as ggml multiplies them, x in 8 bits, beside those of ggml's CPU
back end, whose libraries are in FOLDER.
"""
import argparse
import datetime
import html
import json
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
# Formats of linear_bench with the peers of linear_peers.py that multiply the same weights; the other presets have none.
PEERS = {
    "nf4": ["bitsandbytes nf4"], "fp4": ["bitsandbytes fp4"], "int8": ["bitsandbytes int8"],
    "qint8": ["quanto qint8"], "qfloat8": ["quanto qfloat8"], "qint4": ["quanto qint4"],
    "int8wo": ["torchao int8wo", "torch int8 weights"], "int8dq": ["torchao int8dq"],
    "q4_0": ["diffusers q4_0"], "q8_0": ["diffusers q8_0"], "q4_k": ["diffusers q4_k"], "q6_k": ["diffusers q6_k"],
}
FLOAT = "torch bfloat16"
GGML_TYPE = re.compile("^(i?q[2-8]_(0|1|k|s|m|xs|xxs|nl)|iq1_[sm]|tq2_0|mxfp4)$")
# Their encoders search for minutes, or need the importance of columns: stored numbers at random stand in.
SLOW = re.compile("aqlm|vptq|iq[123]_")
# Numbers that are not quantized, mixtures of types that are rows of their own, and experts, which are no Linear.
LEFT_OUT = re.compile("^(f16|bf16|mxfp4-experts|q[2-5]_k_[sml])$")


def lines_of_json(command):
    """What was measured; a format that has no such operation says so and does not end the others' turn."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{command[-1]}: not measured: {done.stderr.strip()[-500:]}", file=sys.stderr)
    for line in done.stderr.splitlines():
        if "not measured" in line:
            print(line, file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def progress(text):
    print(f"\r\x1b[K{text}" if sys.stderr.isatty() else text, end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def presets(build, rounded=False):
    backends = subprocess.run([build / "bin/precis", "backends", "--json"], capture_output=True, text=True, check=True)
    names = [preset["name"] for plugin in json.loads(backends.stdout)["plugins"] for preset in plugin["presets"]]
    return [name for name in names if not LEFT_OUT.match(name) and (not rounded or GGML_TYPE.match(name))]


def products(arguments, threads, wanted):
    common = ["--threads", threads, "--rounds", arguments.rounds, "--json"]
    common += ["--processor-time"] if arguments.processor_time else []
    peers = [sys.executable, HERE / "linear_peers.py", *common]
    rows = []
    for spec in presets(arguments.build, arguments.round_activations is not None):
        if not any(wanted(f"product {count} {spec}") for count in (1, 32, 512)):
            continue
        progress(f"products of {spec}, {threads} threads")
        stored = ["--random-parts"] if SLOW.match(spec) else []
        theirs = [*PEERS.get(spec, []), FLOAT]
        if arguments.round_activations:
            stored.append("--round-activations")
            theirs = ["--ggml", arguments.round_activations, "--", f"ggml {spec}"]
        measured = lines_of_json([arguments.build / "bin/linear_bench", *common, *stored, spec])
        others = lines_of_json([*peers, *theirs]) if measured else []
        for row in measured:
            if not wanted(f"product {row['rows']} {spec}"):
                continue
            own = {peer["peer"]: seconds_to_rate(row, peer) for peer in others if peer["rows"] == row["rows"]}
            rows.append({"operation": f"product {row['rows']}", "format": spec, "threads": threads, "rate": row["rate"],
                         "unit": row["unit"], "limit": row["limit"], "share": row["share"], "peers": own})
    return rows


def seconds_to_rate(row, peer):
    """A peer's time as a rate of our row's unit: bytes of our weight a second, or operations."""
    if row["rows"] > 1:
        return peer["rate"]
    return row["weight_bytes"] / peer["seconds"] * 1e-9


def codecs(arguments, threads, wanted):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "codecs.json"
        command = [arguments.build / "bin/codec_bench", f"--benchmark_out={out}", "--benchmark_out_format=json",
                   f"--benchmark_filter=threads:{threads}$"]
        command += [f"--ggml={arguments.ggml}"] if arguments.ggml else []
        command += [f"--bitsandbytes={arguments.bitsandbytes}"] if arguments.bitsandbytes else []
        progress(f"codecs, {threads} threads")
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
        runs = json.loads(out.read_text())["benchmarks"]
    rates = {}
    for run in runs:
        if run.get("run_type") == "iteration" and "bytes_per_second" in run:
            row, library = run["run_name"].split("/min_time")[0].rsplit("/", 1)
            best = rates.setdefault(row, {})
            best[library] = max(best.get(library, 0), run["bytes_per_second"] * threads * 1e-9)
    rows = []
    for row, own in rates.items():
        if row == "limit" or "precis" not in own:
            continue
        operation, spec, dtype = row.split("/")
        limit = "read" if operation == "quantize" else "write"
        if wanted(f"{operation} {dtype} {spec}"):
            rows.append({"operation": f"{operation} {dtype}", "format": spec, "threads": threads, "rate": own["precis"],
                         "unit": "GB/s", "limit": limit, "share": own["precis"] / rates["limit"][limit],
                         "peers": {name: rate for name, rate in own.items() if name != "precis"}})
    return rows


def preset_codecs(arguments, threads, wanted):
    """Encoding and decoding of every preset through its plugin; weights of bfloat16."""
    rows = []
    for spec in presets(arguments.build):
        if not wanted(f"codec {spec}"):
            continue
        progress(f"codecs of {spec}, {threads} threads")
        command = [arguments.build / "bin/linear_bench", "--codecs", "--json", "--threads", threads, "--rounds", arguments.rounds]
        command += ["--processor-time"] if arguments.processor_time else []
        command += ["--random-parts"] if SLOW.match(spec) else []
        rows += [{**row, "peers": {}} for row in lines_of_json([*command, spec])]
    return rows


def text(rows):
    lines = [f"{'operation':<16} {'format':<26} {'threads':>7} {'rate':>9} {'':<8} {'share':>6}  others, and how many times their rate"]
    for row in rows:
        others = ", ".join(f"{name} {row['rate'] / rate:.2f}" for name, rate in row["peers"].items())
        lines.append(f"{row['operation']:<16} {row['format']:<26} {row['threads']:>7} {row['rate']:>9.1f} {row['unit']:<8} "
                     f"{row['share']:>6.2f}  {others}")
    return "\n".join(lines)


def codecs_markdown(rows):
    """A row a preset: encoding and decoding, GB/s of the numbers, and shares of the memory's limit."""
    operations = ["quantize bf16", "dequantize f32", "dequantize bf16", "dequantize f16"]
    lines = ["| weight | encode bf16, GB/s | of reading | decode to f32 | of writing | to bf16 | of writing | to f16 | of writing |",
             "|---" * 9 + "|"]
    found = {}
    for row in rows:
        if row["operation"] in operations and not row["peers"]:
            found.setdefault((row["format"], row["threads"]), {})[row["operation"]] = row
    for (spec, threads), own in found.items():
        cells = [spec if threads == 1 else f"{spec}, {threads} threads"]
        for operation in operations:
            row = own.get(operation)
            cells += [f"{row['rate']:.1f}", f"{row['share']:.2f}"] if row else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) if found else ""


def products_markdown(rows):
    """A row a format: its products with 1, 32 and 512 rows."""
    lines = ["| weight | 1 row, GB/s | of reading | over the library | over bfloat16 | 32 rows, of the instruction | over the library "
             "| over bfloat16 | 512 rows, GFLOP/s | of the instruction | over the library | over bfloat16 |", "|---" * 12 + "|"]
    found = {}
    for row in rows:
        if row["operation"].startswith("product"):
            found.setdefault((row["format"], row["threads"]), {})[int(row["operation"].split()[1])] = row

    def factors(row):
        others = [rate for name, rate in row["peers"].items() if name != FLOAT]
        cells = [f"{row['rate'] / max(others):.2f}" if others else ""]
        return cells + [f"{row['rate'] / row['peers'][FLOAT]:.2f}" if FLOAT in row["peers"] else ""]

    for (spec, threads), counts in found.items():
        cells = [spec if threads == 1 else f"{spec}, {threads} threads"]
        for count, row in sorted(counts.items()):
            cells += [] if count == 32 else [f"{row['rate']:.1f}"]
            cells += [f"{row['share']:.2f}" + ("" if count == 1 else f" of {row['limit'].split()[0]}"), *factors(row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) if found else ""


def picture(rows, title):
    """Bars: precis' share of the limit; ticks: the others' shares."""
    bar, left, width, parts, y = 14, 230, 420, [], 50
    for operation, threads in dict.fromkeys((row["operation"], row["threads"]) for row in rows):
        of_group = [row for row in rows if (row["operation"], row["threads"]) == (operation, threads)]
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{operation}, {threads} thread{"s" if threads > 1 else ""}: '
                     f'share of {html.escape(of_group[0]["limit"])}</text>')
        y += 8
        for row in of_group:
            length = min(row["share"], 1.2) * width
            parts.append(f'<text x="{left - 6}" y="{y + 11}" text-anchor="end">{html.escape(row["format"])}</text>'
                         f'<rect x="{left}" y="{y + 2}" width="{length:.1f}" height="{bar - 4}" fill="#3b6ea5"/>'
                         f'<text x="{left + max(length, 0) + 6:.1f}" y="{y + 11}">{row["share"]:.2f}</text>')
            for name, rate in row["peers"].items():
                at = left + min(row["share"] * rate / row["rate"], 1.2) * width
                parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y}" y2="{y + bar}" stroke="#c0392b" stroke-width="2">'
                             f'<title>{html.escape(name)}</title></line>')
            y += bar
        parts.append(f'<line x1="{left + width}" x2="{left + width}" y1="{y - bar * len(of_group)}" y2="{y}" stroke="#888" '
                     'stroke-dasharray="3 3"/>')
        y += 26
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + int(width * 1.2) + 60}" height="{y}" font-family="sans-serif" '
            f'font-size="11"><rect width="100%" height="100%" fill="white"/><text x="8" y="18" font-size="13">{html.escape(title)}</text>'
            f'<text x="8" y="34">bars: precis; red: other libraries; dashed: the limit</text>{"".join(parts)}</svg>\n')


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, metavar="BUILD")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--filter", default="", help='of "OPERATION FORMAT", such as "product 1 " or nf4')
    parser.add_argument("--only", choices=("codecs", "products", "presets"))
    parser.add_argument("--processor-time", action="store_true", help="products by the time of the process")
    parser.add_argument("--ggml", help="libggml-base.so")
    parser.add_argument("--bitsandbytes", help="libbitsandbytes_cpu.so")
    parser.add_argument("--round-activations", type=pathlib.Path, metavar="FOLDER", help="of libggml-cpu.so")
    parser.add_argument("--markdown", action="store_true", help="products as the table of docs/benchmarks.md")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--picture", type=pathlib.Path)
    arguments = parser.parse_args()
    for program in ("codec_bench", "linear_bench"):
        if not (arguments.build / "bin" / program).exists():
            parser.error(f"{arguments.build}/bin/{program} is missing: cmake -DPRECIS_BENCH=ON {arguments.build}, and build it")
    wanted = lambda name: re.search(arguments.filter, name) is not None
    rows = []
    for threads in arguments.threads:
        if arguments.only in (None, "products"):
            rows += products(arguments, threads, wanted)
        if arguments.only in (None, "codecs"):
            rows += codecs(arguments, threads, wanted)
        if arguments.only in (None, "presets"):
            rows += preset_codecs(arguments, threads, wanted)
    progress("")
    rows.sort(key=lambda row: (row["threads"], row["operation"]))
    title = f"{processor()}, {datetime.date.today()}"
    print(title)
    tables = [products_markdown(rows), codecs_markdown(rows)] if arguments.markdown else [text(rows)]
    print("\n\n".join(table for table in tables if table))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": processor(), "date": str(datetime.date.today()), "rows": rows}, indent=1))
    if arguments.picture:
        arguments.picture.write_text(picture(rows, title))


if __name__ == "__main__":
    main()

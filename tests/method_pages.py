#!/usr/bin/env python3
"""docs/methods: a page for each plugin, made of its README, what it says of itself, and what was measured.

    method_pages.py PRECIS            says which pages are not current, and fails then
    method_pages.py PRECIS --write    writes them
    method_pages.py PRECIS --measure  measures the error of every preset, into docs/methods/measured.json
"""
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "methods"
MEASURED = PAGES / "measured.json"
PRODUCTS = ROOT / "docs" / "benchmarks" / "products.json"
BATCHES = ("product 1", "product 32", "product 512")
# Left out of a page: what checks the method, which stands in its README.
OMITTED = {"Tests"}


def precis(program, *arguments):
    return json.loads(subprocess.run([program, *map(str, arguments), "--json"], check=True, capture_output=True, text=True).stdout)


def plugins(program):
    """What the plugins of this source tree say of themselves, in order."""
    names = [p["id"] for p in precis(program, "backends")["plugins"]
             if p["status"] == "ready" and (ROOT / "plugins" / p["id"]).is_dir()]
    told = {name: next(p for p in precis(program, "backends", name)["plugins"] if p["status"] == "ready") for name in names}
    return [told[name] for name in sorted(told)]


def sections(readme):
    """The title, what stands before the first heading, and (heading, text) of each section."""
    title, *rest = re.split(r"^## ", readme, flags=re.MULTILINE)
    title, _, intro = title.partition("\n")
    return title, intro.strip("\n"), [(s.partition("\n")[0], s.partition("\n")[2].strip("\n")) for s in rest]


def cell(value):
    return str(value).replace("|", "\\|")


def values_of(schema):
    if "enum" in schema:
        return ", ".join(f"`{v}`" for v in schema["enum"] if v is not None)
    kinds = schema.get("type", "any")
    return ", ".join(kinds) if isinstance(kinds, list) else kinds


def option_tables(plugin):
    """One table, or one for each set of methods whose options are the same."""
    alike = {}
    for method, schema in plugin["options"].items():
        alike.setdefault(json.dumps(schema["properties"]), []).append(method)
    lines = []
    for properties, methods in alike.items():
        if len(plugin["options"]) > 1:
            lines += ["Of " + " and ".join(f"`{method}`" for method in methods) + ":", ""]
        lines += ["| option | values | default | what |", "|---|---|---|---|"]
        for key, option in json.loads(properties).items():
            default = json.dumps(option.get("default"))
            lines.append(f"| `{key}` | {cell(values_of(option))} | `{cell(default)}` | {cell(option.get('description', ''))} |")
        lines.append("")
    return lines


def reads_and_writes(plugin):
    """As the README's table has it: what is both read and written stands once."""
    reads = [form for form in plugin["reads"] if form not in plugin["writes"]]
    texts = [f"{verb} {', '.join(forms)}" for verb, forms in (("reads and writes", plugin["writes"]), ("only reads", reads)) if forms]
    text = "; ".join(texts)
    return text[0].upper() + text[1:] + "."


def measured_table(plugin, measured):
    rows = measured.get(plugin["id"], {})
    if not rows:
        return []
    lines = ["## Measured", "", f"Of {measured['what']}:", "", "    tests/method_pages.py build/bin/precis --measure --write", "",
             "| preset | bits a weight | relative error |", "|---|---|---|"]
    lines += [f"| `{name}` | {row['bits']:.2f} | {row['error']:.5f} |" for name, row in rows.items()]
    return [*lines, ""]


def speed_class(row):
    """Of a product by processor time, over torch's Linear in bfloat16: coarse, so that pages do not change with every run."""
    factor = row["rate"] / row["peers"]["torch bfloat16"]
    for least, name in ((4, "over 4 times"), (2, "2 to 4 times"), (1.2, "1.2 to 2 times"), (0.8, "as fast")):
        if factor >= least:
            return name
    return "slower"


def speed_table(plugin):
    presets = {preset["name"] for preset in plugin["presets"]}
    found = {}
    for row in json.loads(PRODUCTS.read_text())["rows"]:
        own = row["format"] in presets or row["format"].startswith(plugin["id"] + ":")
        if own and row["threads"] == 1 and row["operation"] in BATCHES and "torch bfloat16" in row["peers"]:
            found.setdefault(row["format"], {})[row["operation"]] = speed_class(row)
    if not found:
        return ""
    lines = ["", "", "Rows of activations in bfloat16 times a weight of 4096 x 4096 on one thread with AVX-512, over torch's Linear in",
             "bfloat16:", "", "| format | 1 row | 32 rows | 512 rows |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {' | '.join(classes.get(batch, '-') for batch in BATCHES)} |" for name, classes in found.items()]
    return "\n".join(lines)


def speed(plugin):
    folder = ROOT / "plugins" / plugin["id"]
    source = [path.read_text() for path in [*folder.glob("*.cpp"), *folder.glob("*.h")] if path.stem != "device"]
    if not any("Products::linear" in text for text in source):
        return "No products of its own: a weight is decoded to numbers before it is multiplied."
    if not any(own in text for text in source for own in ("plan_linear", "ScaledQuantizer")):
        return ("Products on CUDA and HIP devices multiply with the stored numbers; on a CPU a weight is decoded to numbers before it\n"
                "is multiplied.")
    return ("Products multiply with the stored numbers, decoded a part of a row at a time: the float matrix never exists.\n"
            "[benchmarks](../benchmarks.md) has what was measured." + speed_table(plugin))


def page(plugin, measured):
    title, intro, rest = sections((ROOT / "plugins" / plugin["id"] / "README.md").read_text())
    folder = f"../../plugins/{plugin['id']}/"
    names = sorted({f"`{m['quant_method']}`" for m in plugin["quant_methods"]})
    libraries = sorted({library for m in plugin["quant_methods"] for library in m["libraries"]})
    lines = [title, "", f"<!-- Made by tests/method_pages.py of {folder}README.md and the plugin itself. -->", "",
             f"`quant_method` {', '.join(names)} of {' and '.join(libraries)}. {reads_and_writes(plugin)}", "",
             "## Format and numerics", "", intro, ""]
    for heading, text in rest:
        if heading not in OMITTED:
            lines += [f"## {heading}", "", text, ""]
    lines += ["## Speed", "", speed(plugin), ""]
    lines += measured_table(plugin, measured)
    if plugin["presets"]:
        lines += ["## Presets", "", "| preset | what |", "|---|---|"]
        lines += [f"| `{p['name']}` | {cell(p['summary'])} |" for p in plugin["presets"]] + [""]
    lines += ["## Options", "", *option_tables(plugin)]
    lines += [f"Code and tests: [plugins/{plugin['id']}]({folder})."]
    return "\n".join(lines) + "\n"


def index(found):
    lines = ["# The methods", "", "A page each: the format to the byte, numerics, when to choose it, class of speed, measured error, options. Made by",
             "`tests/method_pages.py`.", "", "| plugin | what it is | writes |", "|---|---|---|"]
    for plugin in found:
        writes = "yes" if plugin["writes"] else "reads only"
        lines.append(f"| [{plugin['id']}]({plugin['id']}.md) | {plugin['description']} | {writes} |")
    return "\n".join(lines) + "\n"


def pages(program):
    """path -> text, for all pages of the plugins at hand."""
    found = plugins(program)
    measured = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    texts = {PAGES / f"{plugin['id']}.md": page(plugin, measured) for plugin in found}
    return {PAGES / "README.md": index(found), **texts}


def normal_numbers(path, rows, columns):
    """A checkpoint of one bfloat16 weight: normal numbers of deviation 0.02, drawn by Box and Muller's rule from a linear
    congruential generator, the same on every machine."""
    import math

    state, values = 1, []
    while len(values) < rows * columns:
        pair = []
        for _ in range(2):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            pair.append(((state >> 11) + 0.5) / 2**53)
        radius = 0.02 * math.sqrt(-2 * math.log(pair[0]))
        values += [radius * math.cos(2 * math.pi * pair[1]), radius * math.sin(2 * math.pi * pair[1])]
    bits = (struct.unpack("<I", struct.pack("<f", value))[0] for value in values)
    data = b"".join(struct.pack("<H", min((b + 0x7FFF + (b >> 16 & 1)) >> 16, 0xFFFF)) for b in bits)
    header = json.dumps({"layer.weight": {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [0, len(data)]}}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def measure(program):
    rows, columns = 512, 1024
    measured = {"what": f"one bfloat16 weight [{rows}, {columns}] of normal numbers"}
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "model.safetensors"
        normal_numbers(source, rows, columns)
        for plugin in plugins(program):
            for preset in plugin["presets"]:
                out = pathlib.Path(folder) / f"{plugin['id']}-{preset['name']}"
                spec = f"{plugin['id']}:{preset['name']}"
                run = subprocess.run([program, "quantize", source, "-o", out, "--type", spec, "--progress", "none", "--json"],
                                     capture_output=True, text=True)
                if run.returncode != 0:
                    print(f"{spec}: {(run.stderr or run.stdout).strip().splitlines()[-1]}", file=sys.stderr)
                    continue
                tensor = precis(program, "compare", source, out)["tensors"][0]
                measured.setdefault(plugin["id"], {})[preset["name"]] = {
                    "bits": round(tensor["bytes_b"] * 8 / (rows * columns), 4), "error": round(tensor["relative_error"], 6)}
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n")


def main():
    program, *options = sys.argv[1:]
    if "--measure" in options:
        measure(program)
    stale = [path for path, text in pages(program).items() if not path.exists() or path.read_text() != text]
    if "--write" in options:
        for path, text in pages(program).items():
            path.write_text(text)
    elif stale:
        sys.exit("not current: " + ", ".join(p.name for p in stale) + f"; run: {sys.argv[0]} {program} --write")


if __name__ == "__main__":
    main()

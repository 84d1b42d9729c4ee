#!/usr/bin/env python3
"""What clang made of every kernel for AMD's devices, compared with the checked-in table.

    static_report.py --clang VERSION --table FILE --targets LIST ASSEMBLIES            compares
    static_report.py --clang VERSION --table FILE --targets LIST ASSEMBLIES --write    writes the table

ASSEMBLIES are SOURCE.TARGET.s, as clang -S writes them. A kernel fails when it uses scratch
memory, when its shared memory exceeds a block's, when its registers or its code grew by more than
10 %, when fewer waves fit on a SIMD by its registers and static shared memory, or when the table
lacks it.
"""

import argparse
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "device"))
import static_table

FIELDS = {
    "vector registers": r"TotalNumVgprs: (\d+)|NumVgprs: (\d+)",
    "scalar registers": r"(?:NumSgprs|TotalNumSgprs): (\d+)",
    "static shared": r"LDSByteSize: (\d+)",
    "code bytes": r"codeLenInByte = (\d+)",
    "waves": r"Occupancy: (\d+)",
}

SHARED = list(FIELDS).index("static shared")
BLOCK_SHARED = 64 << 10


def demangle(names):
    try:
        text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return names
    plain = [re.sub(r"^void |precis::kernels::(device_hip::)?", "", n) for n in text.splitlines()]
    # First a value of an enumeration, then the parameters.
    return [re.sub(r"\(.*$", "", re.sub(r"\((\w+)\)(\d+)", r"\1 \2", n)) for n in plain]


def kernels(path):
    """(mangled name, numbers, bytes of scratch) of each kernel in an assembly."""
    with open(path) as file:
        functions = file.read().split("; -- Begin function ")[1:]
    for text in functions:
        if "; Kernel info:" not in text:
            continue
        info = text[text.index("; Kernel info:") :]
        numbers = []
        for pattern in FIELDS.values():
            found = re.search(pattern, info)
            numbers.append(int(next(group for group in found.groups() if group)))
        yield text.split()[0], tuple(numbers), int(re.search(r"ScratchSize: (\d+)", info)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assemblies", nargs="+")
    parser.add_argument("--clang", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--targets", required=True, help="gfx942;gfx1100")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    version = arguments.clang.split(".")[0]
    growing = ("vector registers", "scalar registers", "code bytes")
    table = static_table.Table(f"clang {version}", tuple(FIELDS), growing, ("waves",))
    targets = arguments.targets.split(";")
    faults = []
    for path in sorted(arguments.assemblies):
        target = os.path.basename(path).split(".")[-2]
        if target not in targets:
            continue
        found = list(kernels(path))
        for name, (_, numbers, scratch) in zip(demangle([mangled for mangled, _, _ in found]), found):
            table.rows[name, target] = numbers
            shared = numbers[SHARED] + static_table.dynamic_shared(name)
            if shared > BLOCK_SHARED:
                faults.append(f"{name} on {target}: {shared} bytes of shared memory, a block has {BLOCK_SHARED}")
            if scratch:
                faults.append(f"{name} on {target}: {scratch} bytes of scratch")
    static_table.report(table, arguments.table, targets, faults, arguments.write)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What ptxas made of every kernel, compared with the checked-in table.

    static_report.py --nvcc VERSION --table FILE CUBINS            compares
    static_report.py --nvcc VERSION --table FILE CUBINS --write    writes the table

A kernel fails when it has a stack, when its registers, instructions or longest loop grew by more
than 10 %, when fewer warps fit on a multiprocessor, or when the table lacks it. The numbers are
those of one version of nvcc; under another the comparison is left out and only stacks are errors.
"""

import argparse
import glob
import os
import re
import sys

import cubin

# Warps, registers, shared memory in bytes and blocks of a multiprocessor (CUDA programming guide,
# "Technical Specifications per Compute Capability").
LIMITS = {
    "sm_80": (64, 65536, 164 << 10, 32),
    "sm_89": (48, 65536, 100 << 10, 24),
    "sm_90": (64, 65536, 228 << 10, 32),
    "sm_100": (64, 65536, 228 << 10, 32),
    "sm_120": (48, 65536, 100 << 10, 32),
}
RESERVED_SHARED = 1024  # of each block, by the driver
COLUMNS = ("registers", "static shared", "dynamic shared", "instructions", "longest loop", "warps", "most warps")


def dynamic_shared(kernel):
    """kernels/device/tile.h: two stages of tiles of x and of the weight."""
    tile = re.search(r"gemm_kernel<.*, (\d+), (\d+)>", kernel.name)
    if not tile:
        return 0
    m, n = int(tile[1]), int(tile[2])
    return max(2 * 144 * (m + n), m * (2 * n + 16))


def warps_on_multiprocessor(kernel):
    warps, registers, shared, blocks = LIMITS[kernel.target]
    of_block = (kernel.threads + 31) // 32
    by_registers = registers // (-(-kernel.registers * 32 // 256) * 256) // of_block
    static = kernel.shared
    if kernel.target in ("sm_90", "sm_100", "sm_120"):  # these count the driver's part as static
        static = max(0, static - RESERVED_SHARED)
    bytes_of_block = -(-(static + dynamic_shared(kernel) + RESERVED_SHARED) // 128) * 128
    return of_block * min(blocks, warps // of_block, by_registers, shared // bytes_of_block)


def row_of(kernel):
    return (kernel.registers, kernel.shared, dynamic_shared(kernel), kernel.instructions, kernel.longest_loop,
            warps_on_multiprocessor(kernel), LIMITS[kernel.target][0])


def write_table(path, nvcc, rows):
    with open(path, "w") as file:
        file.write(f"# nvcc {nvcc}. Written by static_report.py --write; see docs/device-kernels.md.\n")
        file.write("# kernel | target | " + " | ".join(COLUMNS) + "\n")
        for (name, target), row in sorted(rows.items()):
            file.write(f"{name} | {target} | " + " | ".join(map(str, row)) + "\n")


def read_table(path):
    nvcc, rows = "", {}
    if not os.path.exists(path):
        return nvcc, rows
    with open(path) as file:
        for line in file:
            if line.startswith("# nvcc "):
                nvcc = line.split()[2].rstrip(".")
            elif not line.startswith("#"):
                name, target, *numbers = (part.strip() for part in line.split("|"))
                rows[name, target] = tuple(map(int, numbers))
    return nvcc, rows


def regressions(name, target, old, new):
    where = f"{name} on {target}: "
    for column in ("registers", "instructions", "longest loop"):
        i = COLUMNS.index(column)
        if new[i] > old[i] * 1.1:
            yield f"{where}{column} {old[i]} -> {new[i]}"
    i = COLUMNS.index("warps")
    if new[i] < old[i]:
        yield f"{where}warps on a multiprocessor {old[i]} -> {new[i]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cubins")
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    kernels = [k for path in sorted(glob.glob(os.path.join(arguments.cubins, "*.cubin"))) for k in cubin.kernels(path)]
    if not kernels:
        sys.exit(f"no cubins in {arguments.cubins}: build the target precis_device_cuda first")
    rows = {(k.name, k.target): row_of(k) for k in kernels}
    faults = [f"{k.name} on {k.target}: {k.stack} bytes of stack" for k in kernels if k.stack]
    if arguments.write:
        write_table(arguments.table, arguments.nvcc, rows)
    version = ".".join(arguments.nvcc.split(".")[:2])
    table_nvcc, table = read_table(arguments.table)
    if not table_nvcc.startswith(version + "."):
        print(f"left out: the table is of nvcc {table_nvcc}, this is {arguments.nvcc}")
    else:
        for key, row in rows.items():
            faults += regressions(*key, table[key], row) if key in table else [f"{key[0]} on {key[1]} is not in the table"]
        faults += [f"{name} on {target} is in the table only" for name, target in table.keys() - rows.keys()]
    for fault in faults:
        print("FAILED", fault)
    print(f"{len(kernels)} kernels for {len({k.target for k in kernels})} targets, {len(faults)} faults")
    if faults:
        print(f"when a change is meant: {sys.argv[0]} --nvcc {arguments.nvcc} --table {arguments.table} {arguments.cubins} --write")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()

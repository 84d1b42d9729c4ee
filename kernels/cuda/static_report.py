#!/usr/bin/env python3
"""What ptxas made of every kernel, compared with the checked-in table.

    static_report.py --nvcc VERSION --table FILE --targets LIST ARCHIVE            compares
    static_report.py --nvcc VERSION --table FILE --targets LIST ARCHIVE --write    writes the table

A kernel fails when it has a stack, when ptxas made its wgmma products wait for each other, when its
registers, instructions or longest loop grew by more than 10 %, when fewer warps fit on a
multiprocessor, or when the table lacks it. The numbers are those of one version of nvcc; under
another the comparison is left out and only the first two are errors.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "device"))
import cubin
import static_table

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


def warps_on_multiprocessor(kernel):
    warps, registers, shared, blocks = LIMITS[kernel.target]
    of_block = (max(kernel.threads, 1) + 31) // 32
    of_warp = -(-max(kernel.registers, 1) * 32 // 256) * 256  # an empty kernel has none
    by_registers = registers // of_warp // of_block
    static = kernel.shared
    if kernel.target in ("sm_90", "sm_100", "sm_120"):  # these count the driver's part as static
        static = max(0, static - RESERVED_SHARED)
    bytes_of_block = -(-(static + static_table.dynamic_shared(kernel.name) + RESERVED_SHARED) // 128) * 128
    return of_block * min(blocks, warps // of_block, by_registers, shared // bytes_of_block)


def row_of(kernel):
    return (kernel.registers, kernel.shared, static_table.dynamic_shared(kernel.name), kernel.instructions, kernel.longest_loop,
            warps_on_multiprocessor(kernel), LIMITS[kernel.target][0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("--targets", required=True, help="those of the archive, as CMake has them: 80-real;90a-real")
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    kernels = [k for elf in cubin.cubins(arguments.archive) for k in cubin.kernels(elf)]
    targets = {"sm_" + name.split("-")[0].rstrip("a") for name in arguments.targets.split(";")}
    version = ".".join(arguments.nvcc.split(".")[:2])
    table = static_table.Table(f"nvcc {version}", COLUMNS, ("registers", "instructions", "longest loop"), ("warps",))
    table.rows = {(k.name, k.target): row_of(k) for k in kernels}
    faults = [f"{k.name} on {k.target}: {k.stack} bytes of stack" for k in kernels if k.stack]
    faults += [f"{k.name} on {k.target}: its wgmma products are serialized" for k in kernels if k.serialized]
    static_table.report(table, arguments.table, targets, faults, arguments.write)


if __name__ == "__main__":
    main()

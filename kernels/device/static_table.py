"""The checked-in tables of what compilers made of each kernel, and their comparison.

A table belongs to one version of a compiler: under another the comparison is left out.
"""

import os
import re
import sys

GROWTH = 1.1  # of a number, before it is a regression


def dynamic_shared(kernel):
    """Bytes that a launch of `kernel` asks for, by its name. kernels/device/tile.h: two stages of
    tiles of x and of the weight, or the result where that is larger."""
    if kernel.startswith("wgmma_gemm_kernel"):  # wgmma_gemm.h: three stages, and room to align them
        return 3 * 128 * (256 + 128) + 1024
    if kernel.startswith(("int8_wgmma_kernel", "float8_wgmma_kernel")):  # wgmma_codes.h: four
        rows = 256 if re.search(r"int8_wgmma_kernel<\w+, 2>", kernel) else 128
        return 4 * 128 * (rows + 128) + 1024
    if kernel.startswith("rotate_kernel"):  # rotate.h: a piece of a row, unless columns are rotated by more
        return 1024 * 8
    tile = re.search(r"gemm_kernel<.*, (\d+), (\d+)>", kernel)
    if not tile:
        return 0
    m, n = int(tile[1]), int(tile[2])
    return max(2 * 144 * (m + n), m * (2 * n + 16))


class Table:
    """Rows of numbers by (kernel, target). `growing` are the columns that may not grow by more than
    10 %, `falling` those that may not fall."""

    def __init__(self, compiler, columns, growing, falling):
        self.compiler, self.columns, self.growing, self.falling = compiler, columns, growing, falling
        self.rows = {}

    def write(self, path, targets):
        """Writes the rows of `targets`; those of others stay, where they are of the same compiler."""
        kept = {key: row for key, row in (self._read(path) or {}).items() if key[1] not in targets}
        with open(path, "w") as file:
            file.write(f"# {self.compiler}\n# kernel | target | {' | '.join(self.columns)}\n")
            for (name, target), row in sorted({**kept, **self.rows}.items()):
                file.write(f"{name} | {target} | {' | '.join(map(str, row))}\n")

    def _read(self, path):
        """The rows of the table at `path`, or None when it is of another compiler or is not there."""
        if not os.path.exists(path):
            return None
        with open(path) as file:
            lines = file.read().splitlines()
        if lines[0] != f"# {self.compiler}":
            print(f"left out: the table is of{lines[0][1:]}, this is {self.compiler}")
            return None
        rows = {}
        for line in lines[2:]:
            name, target, *numbers = (part.strip() for part in line.split("|"))
            rows[name, target] = tuple(map(int, numbers))
        return rows

    def compare(self, path, targets):
        """Regressions of `targets` against the table at `path`, or None when it is of another compiler."""
        if not os.path.exists(path):
            return [f"{path} does not exist"]
        rows = self._read(path)
        if rows is None:
            return None
        old = {key: row for key, row in rows.items() if key[1] in targets}
        faults = [f"{name} on {target} is in the table only" for name, target in old.keys() - self.rows.keys()]
        for key, row in self.rows.items():
            faults += self._regressions(key, old[key], row) if key in old else [f"{key[0]} on {key[1]} is not in the table"]
        return faults

    def _regressions(self, key, old, new):
        faults = []
        for i, column in enumerate(self.columns):
            grown = column in self.growing and new[i] > old[i] * GROWTH
            fallen = column in self.falling and new[i] < old[i]
            if grown or fallen:
                faults.append(f"{key[0]} on {key[1]}: {column} {old[i]} -> {new[i]}")
        return faults


def report(table, path, targets, faults, write):
    """Writes the table or compares with it, for `targets`, prints all faults and exits."""
    built = {target for _, target in table.rows}
    if built != set(targets):
        sys.exit(f"kernels were built for {sorted(built)}, not for {sorted(targets)}")
    if write:
        table.write(path, targets)
    faults = faults + (table.compare(path, targets) or [])
    for fault in faults:
        print("FAILED", fault)
    print(f"{table.compiler}: {len(table.rows)} kernels and targets, {len(built)} targets, {len(faults)} faults")
    if faults:
        print(f"when a change is meant: {' '.join(sys.argv)} --write")
    sys.exit(1 if faults else 0)

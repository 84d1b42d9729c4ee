"""Reads what ptxas wrote into a cubin: an ELF file with 128-bit instructions (sm_80 to sm_120). Cubins
stand as they are in the objects and archives that nvcc --no-compress makes.

.nv.info holds (symbol, registers) and (symbol, stack frame); .nv.info.KERNEL the launch bounds;
.nv.shared.KERNEL the static shared memory; .text.KERNEL the code. The low 9 bits of an instruction
name the operation. Found out from nvcc's own output, since the format is not documented.
"""

import dataclasses
import re
import struct
import subprocess

ATTRIBUTE_MAX_THREADS, ATTRIBUTE_REGISTERS, ATTRIBUTE_FRAME = 0x05, 0x2F, 0x11
OPERATION_NOP, OPERATION_BRANCH = 0x118, 0x147
# wgmma's products of floats of 16 bits, of integers and of floats of 8 bits, and its waits.
OPERATIONS_WGMMA, OPERATION_WGMMA_WAIT = (0x1F0, 0x1F1, 0x1F3), 0x1C5
MACHINE_CUDA = 190


@dataclasses.dataclass
class Kernel:
    name: str  # demangled, without parameters
    target: str  # "sm_90"
    registers: int
    stack: int
    shared: int  # static, bytes
    threads: int  # of a block, by the launch bounds
    instructions: int
    longest_loop: int  # instructions between a branch and its target before it
    serialized: bool  # ptxas put a wait behind each product of wgmma (its messages C7510 and on)


def serialized(words):
    operations = [low & 0x1FF for low, _ in words]
    products = sum(operations.count(operation) for operation in OPERATIONS_WGMMA)
    return 0 < products <= operations.count(OPERATION_WGMMA_WAIT)


class Elf:
    def __init__(self, data):
        self.data = data
        (table,) = struct.unpack_from("<Q", data, 0x28)
        (self.flags,) = struct.unpack_from("<I", data, 0x30)
        size, count, names = struct.unpack_from("<HHH", data, 0x3A)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
        self.sections = {self._text(headers[names][4] + h[0]): (h[4], h[5]) for h in headers}

    def _text(self, offset):
        return self.data[offset : self.data.index(b"\0", offset)].decode()

    def section(self, name):
        offset, size = self.sections.get(name, (0, 0))
        return self.data[offset : offset + size]

    def symbols(self):
        offset, size = self.sections[".symtab"]
        strings = self.sections[".strtab"][0]
        return [
            self._text(strings + struct.unpack_from("<I", self.data, offset + 24 * i)[0])
            for i in range(size // 24)
        ]


def attributes(section):
    """(attribute, bytes) of an .nv.info section."""
    at = 0
    while at + 4 <= len(section):
        form, attribute, value = struct.unpack_from("<BBH", section, at)
        at += 4
        if form == 4:  # the value is the size of what follows
            yield attribute, section[at : at + value]
            at += value


def longest_loop(words, target_number):
    longest = 0
    for place, (low, high) in enumerate(words):
        if low & 0x1FF != OPERATION_BRANCH:
            continue
        distance = (low >> 34 | high << 30) & ((1 << 48) - 1)  # signed, in units of 4 bytes
        if distance >> 47:
            distance -= 1 << 48
        if target_number >= 90:  # the low 8 bits stand apart
            distance = distance << 8 | low >> 16 & 0xFF
        goal = place + 1 + distance * 4 // 16
        if 0 <= goal < place - 2:
            longest = max(longest, place - goal + 1)
    return longest


def demangle(names):
    try:
        text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return names
    out = []
    for name in text.splitlines():
        name = re.sub(r"precis::kernels::(device_cuda::)?", "", name)
        name = re.sub(r"^void ", "", name)
        name = re.sub(r"\((\w+)\)(\d+)", r"\1 \2", name)  # a value of an enumeration
        out.append(re.sub(r"\(.*$", "", name))
    return out


def cubins(path):
    with open(path, "rb") as file:
        data = file.read()
    for start in (found.start() for found in re.finditer(b"\x7fELF", data)):
        (machine,) = struct.unpack_from("<H", data, start + 0x12)
        if machine == MACHINE_CUDA:
            yield Elf(data[start:])


def kernels(elf):
    number = elf.flags >> 8 & 0xFF or elf.flags & 0xFF
    symbols = elf.symbols()
    registers, frames = {}, {}
    for attribute, value in attributes(elf.section(".nv.info")):
        if attribute in (ATTRIBUTE_REGISTERS, ATTRIBUTE_FRAME) and len(value) == 8:
            symbol, count = struct.unpack("<II", value)
            (registers if attribute == ATTRIBUTE_REGISTERS else frames)[symbols[symbol]] = count
    mangled = sorted(name[6:] for name in elf.sections if name.startswith(".text."))
    found = []
    for symbol, name in zip(mangled, demangle(mangled)):
        code = elf.section(".text." + symbol)
        words = [struct.unpack_from("<QQ", code, at) for at in range(0, len(code), 16)]
        while len(words) > 1 and words[-1][0] & 0x1FF == OPERATION_NOP:
            words.pop()
        threads = 0
        for attribute, value in attributes(elf.section(".nv.info." + symbol)):
            if attribute == ATTRIBUTE_MAX_THREADS:
                x, y, z = struct.unpack("<III", value)
                threads = x * y * z
        shared = elf.sections.get(".nv.shared." + symbol, (0, 0))[1]
        found.append(
            Kernel(name, f"sm_{number}", registers.get(symbol, 0), frames.get(symbol, 0), shared, threads,
                   len(words), longest_loop(words, number), serialized(words))
        )
    return found

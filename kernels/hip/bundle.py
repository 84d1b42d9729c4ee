#!/usr/bin/env python3
"""Code objects for several AMD devices as one image, which hipModuleLoadData takes its device's from.

    bundle.py --output IMAGE TARGET=CODE_OBJECT...      bundle.py --output a.hipfb gfx942=a.gfx942.co

The format is clang-offload-bundler's for HIP; Debian has that program in another package than clang's.
"""

import argparse
import struct

MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
ALIGNMENT = 4096


def aligned(offset):
    return -(-offset // ALIGNMENT) * ALIGNMENT


def bundle(code_objects):
    """code_objects: (target, bytes). The host's entry comes first and is empty."""
    entries = [("host-x86_64-unknown-linux", b"")]
    entries += [(f"hipv4-amdgcn-amd-amdhsa--{target}", code) for target, code in code_objects]
    header_size = len(MAGIC) + 8 + sum(24 + len(name) for name, _ in entries)
    offset = aligned(header_size)
    header, image = MAGIC + struct.pack("<Q", len(entries)), b""
    for name, code in entries:
        header += struct.pack("<QQQ", offset + len(image), len(code), len(name)) + name.encode()
        image += code.ljust(aligned(len(code)), b"\0")
    return header.ljust(offset, b"\0") + image


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True)
    parser.add_argument("code_objects", nargs="+", metavar="TARGET=CODE_OBJECT")
    arguments = parser.parse_args()
    code_objects = []
    for argument in arguments.code_objects:
        target, path = argument.split("=", 1)
        with open(path, "rb") as file:
            code_objects.append((target, file.read()))
    with open(arguments.output, "wb") as file:
        file.write(bundle(code_objects))


if __name__ == "__main__":
    main()

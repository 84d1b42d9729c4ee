#!/usr/bin/env bash
# No function that the linker may take from any object stands in one that was compiled for a processor better than the
# baseline's: outside of the instruction sets' namespaces (kernels/cpu/common/isa.h) it would be put where the baseline
# belongs.
#
# Usage: symbols.sh BUILD_DIR
set -euo pipefail
mapfile -t objects < <(find "$1/kernels/cpu" -name '*_kernels.cpp.o' -path '*_a[mv]x*')
[ ${#objects[@]} -gt 0 ] || { echo "no object for AVX in $1"; exit 1; }
# By the names as they are: binutils' demangler leaves the longest ones as it finds them.
# _ZZ: what stands inside of a function, as a lambda does.
own=' _ZZ?NK?6precis7kernels(4avx2|6avx512|10avx512_dot|3amx|12amx_software)'
shared=$(nm -A --defined-only "${objects[@]}" | awk '$2 == "W" || $2 == "T" || $2 == "i"' | grep -Ev "$own" | c++filt || true)
if [ -n "$shared" ]; then
  echo "inline functions to compile once, or to put into a namespace of instruction sets:"
  echo "$shared"
  exit 1
fi
echo "${#objects[@]} objects"

#!/usr/bin/env bash
# The kernels for 64-bit Arm, by a cross-compiler, pass their tests under QEMU: every instruction set gives the baseline's
# bits, and on processors that have less the dispatch takes less.
#
# Usage: aarch64.sh SOURCE_DIR BUILD_DIR GENERATOR     exit 77: the compiler, QEMU or GoogleTest's sources were not found
set -euo pipefail
source=$1 build=$2 generator=$3
left_out() {
  echo "left out: $1 was not found"
  exit 77
}
command -v aarch64-linux-gnu-g++-12 >/dev/null || command -v aarch64-linux-gnu-g++ >/dev/null || left_out aarch64-linux-gnu-g++
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || left_out qemu-aarch64
[ -f /usr/src/googletest/CMakeLists.txt ] || left_out /usr/src/googletest

cmake --preset aarch64 -S "$source" -B "$build" -G "$generator" >/dev/null
tests=(kernels_{activations,aqlm,bitnet,bitsandbytes,codebooks,eetq,fp8,gguf,hqq,quanto,scaled,torchao,vptq}_variants_test
  kernels_{common,linear_product}_test)
cmake --build "$build" -j2 --target "${tests[@]}" >/dev/null
# The heaviest encoders, those of GGUF's IQ types, are left to the preset itself.
GTEST_FILTER='-*encode*/iq*' ctest --test-dir "$build" -j2 --output-on-failure -R '^kernels_'
for cpu in cortex-a53 neoverse-n1; do
  "$qemu" -L /usr/aarch64-linux-gnu -cpu "$cpu" "$build/tests/kernels_linear_product_test" --gtest_brief=1
done

#!/usr/bin/env bash
# The programs of this build on an x86 without AVX, and on one without AVX-512, under QEMU: the kernels' tests pass, the
# plugins load, and every preset writes and decodes the bytes that this machine does.
#
# Usage: emulated_x86.sh SOURCE_DIR BUILD_DIR     exit 77: QEMU or Python was not found
set -euo pipefail
source=$1 build=$2
precis=$build/bin/precis
qemu=$(command -v qemu-x86_64-static || command -v qemu-x86_64) || {
  echo "left out: qemu-x86_64 was not found"
  exit 77
}
command -v python3 >/dev/null || {
  echo "left out: python3 was not found"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$source/tests/isa/small_model.py" "$work/model.safetensors"

# QEMU warns of what else such a processor has.
on() { "$qemu" -cpu "$@" 2> >(grep -v "TCG doesn't support" >&2); }

convert() { # NAME RUNNER...: the presets of $work/NAME.presets by this runner, in $work/NAME
  local name=$1
  shift
  mkdir -p "$work/$name"
  while read -r preset; do
    "$@" "$precis" quantize "$work/model.safetensors" -o "$work/$name/$preset" --type "$preset" --quiet
    "$@" "$precis" dequantize "$work/$name/$preset" -o "$work/$name/$preset.decoded" --dtype f32 --quiet
  done <"$work/$name.presets"
}

# All presets but those that need an importance matrix or weights of another kind, and VPTQ's, whose codebooks take minutes.
"$precis" backends --json | python3 -c '
import json, sys
for plugin in json.load(sys.stdin)["plugins"]:
    for preset in plugin["presets"]:
        print(preset["name"])' | grep -v ^vptq | while read -r preset; do
  if "$precis" plan "$work/model.safetensors" --type "$preset" >/dev/null 2>&1; then echo "$preset"; fi
done >"$work/native.presets"
for preset in nf4 int8 q4_k q8_0 qint8 fp8 int4wo hqq-4bit gptq-4bit awq; do grep -qx "$preset" "$work/native.presets"; done
convert native
# QEMU 7.2 takes no index where a gather's is in ymm4, as SIB has it and VSIB has not; these have theirs there. The tests of
# this build run them on AVX2 without an emulator.
gathering='^(q2_k|q3_k|q1_0)' gathering_tests='*encode*/q2_k:*encode*/q3_k:*encode*/q1_0:VptqVariants.DecodeAlike'
for processor in Nehalem=baseline Haswell=avx2; do
  cpu=${processor%=*} isa=${processor#*=}
  on "$cpu" "$precis" doctor >"$work/doctor"
  grep -q "kernels for $isa\$" "$work/doctor"
  grep -q " 0 do not" "$work/doctor"
  left_out='^$' tests_left_out=''
  [ "$isa" = baseline ] || { left_out=$gathering tests_left_out=$gathering_tests; }
  grep -vE "$left_out" "$work/native.presets" >"$work/$cpu.presets"
  convert "$cpu" on "$cpu"
  while read -r preset; do
    diff -r "$work/native/$preset" "$work/$cpu/$preset"
    cmp "$work/native/$preset.decoded" "$work/$cpu/$preset.decoded"
  done <"$work/$cpu.presets"
  echo "$cpu: kernels for $isa, $(wc -l <"$work/$cpu.presets") presets, the same bytes"
  # The heaviest encoders, those of GGUF's IQ types, were just compared.
  for test in "$build"/tests/kernels_*_test; do
    on "$cpu" "$test" --gtest_brief=1 --gtest_filter="-*encode*/iq*:$tests_left_out"
  done
done

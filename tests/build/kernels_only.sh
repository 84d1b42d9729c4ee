#!/usr/bin/env bash
# plugin_api and kernels build with a compiler and CMake alone: no package, no header of one, no CUDA.
#
# Usage: kernels_only.sh SOURCE_DIR BUILD_DIR GENERATOR WERROR     the preset's own generator needs make; WERROR (ON or OFF)
# as in the build that this follows, whose objects the compiler's cache then gives back.
set -euo pipefail
source=$1 build=$2 generator=$3 werror=$4
grep -qsx "CMAKE_GENERATOR:INTERNAL=$generator" "$build/CMakeCache.txt" || rm -rf "$build"
# One device for each kind of matrix unit: sm_90a has mma.sync and wgmma, gfx942 mfma, gfx1100 wmma. The preset by itself
# builds all targets.
cmake --preset kernels-only -S "$source" -B "$build" -G "$generator" "-DPRECIS_CUDA_ARCHITECTURES=90a-real" \
  "-DPRECIS_HIP_TARGETS=gfx942;gfx1100" -DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON -DPRECIS_CHECK_SANITIZED=OFF "-DPRECIS_WERROR=$werror" >/dev/null
if grep -E '_(DIR|LIBRARY|INCLUDE_DIRS?):(PATH|FILEPATH)=/' "$build/CMakeCache.txt" | grep -v -E '^(CMAKE|precis|Python)'; then
  echo "the packages above were looked for"
  exit 1
fi
cmake --build "$build" -j2 >/dev/null
ctest --test-dir "$build" --output-on-failure

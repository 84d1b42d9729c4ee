#!/usr/bin/env bash
# Builds the kernels for the executor with AddressSanitizer and UBSan and runs their tests, those of many orders of threads
# in one.
#
# Usage: sanitized.sh SOURCE_DIR BUILD_DIR GENERATOR TEST_PROGRAM...     the programs that this build has
set -euo pipefail
source=$1 build=$2 generator=$3
shift 3
cmake --preset asan -S "$source" -B "$build" -G "$generator" -DPRECIS_WERROR=OFF -DPRECIS_KERNELS_ONLY=ON \
  -DPRECIS_CUDA=OFF -DPRECIS_HIP=OFF
cmake --build "$build" --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}" --target "$@"
# By themselves, not by ctest, whose limit for each is meant for builds without sanitizers.
export GTEST_FILTER='-*/Forward:*/Reverse:*/Random2:*/Random4:*/Random5'
for program in "$@"; do
  case $program in
    precis-selftest) "$build/bin/precis-selftest" --device simt ;;
    *) "$build/tests/$program" ;;
  esac
done

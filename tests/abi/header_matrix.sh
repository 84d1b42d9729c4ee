#!/usr/bin/env bash
# Compiles every ABI header alone under each language standard and compiler, with padding as an error.
# Usage: header_matrix.sh SOURCE_DIR
set -euo pipefail
include=$1/plugin_api/include
checks=0
for compiler in gcc clang clang-14 clang-19; do
  command -v "$compiler" >/dev/null || continue
  for header in "$include"/precis/*.h "$include"/precis/ext/*.h; do
    for standard in c11 c17 c++11 c++14 c++17 c++20; do
      language=c
      case $standard in c++*) language=c++ ;; esac
      "$compiler" -x "$language" -std="$standard" -Wall -Wextra -Wpedantic -Wpadded -Werror -I"$include" \
        -fsyntax-only -include "$header" /dev/null
      checks=$((checks + 1))
    done
  done
done
echo "$checks compilations passed"
[ "$checks" -gt 0 ]

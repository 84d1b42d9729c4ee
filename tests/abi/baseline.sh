#!/usr/bin/env bash
# Compares the ABI, as libabigail reads it from the witness, with plugin_api/abi/baseline-1.0.abi.xml; then makes one
# change of each kind to a copy of the headers, which has to show. A wanted change is a line of plugin_api/CHANGELOG.md and
# a new baseline in the same commit:
#   baseline.sh SOURCE_DIR --write
# Exit 77: libabigail is not installed (Debian: abigail-tools).
set -euo pipefail
api=$(realpath "$1")/plugin_api
baseline=$api/abi/baseline-1.0.abi.xml
command -v abidiff >/dev/null && command -v abidw >/dev/null || { echo "abidiff and abidw are not installed"; exit 77; }
[ "$(uname -m)" = x86_64 ] || { echo "the baseline is of x86-64"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# witness INCLUDE OUT: paths of this machine stay out of the debugging information.
witness() { (cd "$api/abi" && gcc -std=c11 -g -O0 -fPIC -shared -I"$1" -I. witness.c -o "$2"); }

witness "$api/include" "$work/now.so"
if [ "${2:-}" = --write ]; then
  abidw --no-show-locs --no-comp-dir-path --no-corpus-path --no-parameter-names "$work/now.so" >"$baseline"
  echo "wrote $baseline"
  exit
fi
abidiff --no-default-suppression "$baseline" "$work/now.so"

# shows NAME FILE SED: the change of that file of the headers is seen.
shows() {
  rm -rf "$work/include"
  cp -r "$api/include" "$work/include"
  sed -i "$3" "$work/include/precis/$2"
  ! cmp -s "$work/include/precis/$2" "$api/include/precis/$2" || { echo "$1: the headers have changed, mend this test"; exit 1; }
  witness "$work/include" "$work/changed.so"
  if abidiff --no-default-suppression "$baseline" "$work/changed.so" >"$work/report"; then
    echo "$1 is not seen"
    exit 1
  fi
}
shows "a member in the middle of a table" host.h '0,/uint32_t(PRECIS_CALL\* concurrency)/s//uint32_t(PRECIS_CALL* more)(void);\n&/'
shows "a member at the end of a struct" tensor.h 's/^} precis_tensor;/  uint64_t more;\n&/'
shows "a function that takes another type" entry.h 's/uint32_t agreed_minor/uint64_t agreed_minor/'
shows "a function that gives another type" host.h 's/uint32_t(PRECIS_CALL\* concurrency)/uint64_t(PRECIS_CALL* concurrency)/'
shows "two members that change places" base.h '/int32_t type;/d; s/  int32_t index;.*/  int32_t index;\n  int32_t type;/'
echo "the ABI is that of the baseline, and every change shows"

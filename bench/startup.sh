#!/usr/bin/env bash
# What a user waits for before any work: `precis --help`, and `precis plan` of a 34 GB checkpoint, of which only
# the headers are read. Prints the median of RUNS in milliseconds.
#
# Usage: startup.sh WORK_DIR [RUNS]
set -euo pipefail
here=$(dirname "$0")
precis=${PRECIS:-$here/../build/bin/precis}
work=$1 runs=${2:-21}

median_milliseconds() {
  for _ in $(seq "$runs"); do
    started=$(date +%s%N)
    "$@" >/dev/null
    echo $((($(date +%s%N) - started) / 1000))
  done | sort -n | awk '{ v[NR] = $1 } END { printf "%.1f\n", v[int((NR + 1) / 2)] / 1000 }'
}

[ -d "$work/sparse" ] || python3 "$here/make_checkpoint.py" "$work/sparse" 31.7 4 --sparse
echo "precis --help: $(median_milliseconds "$precis" --help) ms"
echo "precis plan of $(du --apparent-size -sBM "$work/sparse" | cut -f1): $(median_milliseconds "$precis" plan "$work/sparse" --type nf4 --json) ms"

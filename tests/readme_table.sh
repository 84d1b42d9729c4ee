#!/usr/bin/env bash
# README.md's table of methods is what the plugins' manifests say.
# Usage: readme_table.sh SOURCE_DIR PRECIS [--write]
set -euo pipefail
readme=$1/README.md
table=$("$2" backends --markdown)
if [ "${3:-}" = --write ]; then
  awk -v table="$table" '/^\| plugin/ {print table; skip = 1} !/^\|/ {skip = 0} !skip' "$readme" >"$readme.new"
  mv "$readme.new" "$readme"
elif ! diff <(sed -n '/^| plugin/,/^$/p' "$readme" | sed '/^$/d') <(printf '%s\n' "$table"); then
  echo "README.md's table is not what the manifests say; run: $0 $1 $2 --write"
  exit 1
fi

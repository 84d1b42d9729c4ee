#!/usr/bin/env bash
# Every struct of the headers has its size and its members in golden.inc, and every function pointer its type in
# golden_signatures.inc. Usage: golden_complete.sh SOURCE_DIR
set -euo pipefail
api=$1/plugin_api
structs=0
members=0
missing() { echo "$2 is not in $1" && exit 1; }
for header in "$api"/include/precis/*.h "$api"/include/precis/ext/*.h; do
  # Comments and line ends go; a struct is then one line.
  while read -r name body; do
    structs=$((structs + 1))
    grep -q "PRECIS_LAYOUT_SIZE($name," "$api/abi/golden.inc" || missing golden.inc "$name"
    while read -r member; do
      [ -n "$member" ] || continue
      members=$((members + 1))
      grep -q "PRECIS_LAYOUT_OFFSET($name, $member," "$api/abi/golden.inc" || missing golden.inc "$name.$member"
    done < <(tr ';' '\n' <<<"$body" | sed -E 's/^[^(]*\(PRECIS_CALL\* *(\w+)\)\(.*/\1/; s/\[[0-9]+\]//; s/^.*[ *](\w+) *$/\1/')
    while read -r member; do
      [ -n "$member" ] || continue
      grep -q "PRECIS_SAME_TYPE($name, $member," "$api/abi/golden_signatures.inc" || missing golden_signatures.inc "$name.$member"
    done < <(tr ';' '\n' <<<"$body" | sed -nE 's/^[^(]*\(PRECIS_CALL\* *(\w+)\)\(.*/\1/p')
  done < <(sed 's@/\*.*\*/@@' "$header" | sed '/\/\*/,/\*\//d' | tr '\n' ' ' | grep -oE '\bstruct (precis_\w+) \{[^}]*\}' | sed -E 's/struct (\w+) \{(.*)\}/\1 \2/')
done
echo "$structs structs with $members members are recorded"
[ "$structs" -gt 25 ] && [ "$members" -gt 120 ]

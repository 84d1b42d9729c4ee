#!/usr/bin/env bash
# Kills a quantization at random moments and runs it again until it ends; the result must be the one of an
# undisturbed run, byte for byte.
#
# Usage: kill_resume.sh SOURCE WORK_DIR [KILLS] [METHOD]
set -euo pipefail
precis=$(dirname "$0")/../build/bin/precis
source=$1 work=$2 kills=${3:-20} method=${4:-nf4}
mkdir -p "$work"
run() { "${PRECIS:-$precis}" quantize "$source" -o "$1" --type "$method" --progress none -q; }
# In the background without a shell in between, so that the kill meets precis itself.
start() { exec "${PRECIS:-$precis}" quantize "$source" -o "$1" --type "$method" --progress none -q; }
digest() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); }

rm -rf "$work/whole" "$work/whole.partial" "$work/killed" "$work/killed.partial"
started=$(date +%s%N)
run "$work/whole"
milliseconds=$((($(date +%s%N) - started) / 1000000))
done_kills=0
while [ "$done_kills" -lt "$kills" ]; do
  rm -rf "$work/killed"
  start "$work/killed" &
  pid=$!
  sleep "$(awk -v ms="$milliseconds" -v seed="$RANDOM" 'BEGIN { srand(seed); print rand() * ms / 1000 }')"
  if kill -9 "$pid" 2>/dev/null; then done_kills=$((done_kills + 1)); fi
  wait "$pid" 2>/dev/null || true
done
rm -rf "$work/killed"
run "$work/killed"
[ "$(digest "$work/whole")" = "$(digest "$work/killed")" ] || { echo "the results differ"; exit 1; }
echo "$done_kills kills within $milliseconds ms of work each: the same bytes as an undisturbed run"

#!/usr/bin/env bash
# Runs the self-test on the CUDA device. Skipped (77) where there is none, which must be a message
# and exit code 2, never a crash. Usage: selftest.sh PRECIS-SELFTEST
set -u
message=$("$1" --device cuda 2>&1)
code=$?
echo "$message"
if [ "$code" = 2 ] && [[ $message == "precis-selftest: device cuda: "* ]]; then
  echo "skipped: no CUDA device"
  exit 77
fi
exit "$code"

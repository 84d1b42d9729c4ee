#!/usr/bin/env bash
# Runs the self-test on a device. Skipped (77) where there is none, which must be a message and exit
# code 2, never a crash. Usage: selftest.sh PRECIS-SELFTEST cuda|hip
set -u
message=$("$1" --device "$2" 2>&1)
code=$?
echo "$message"
if [ "$code" = 2 ] && [[ $message == "precis-selftest: device $2: "* ]]; then
  echo "skipped: no $2 device"
  exit 77
fi
exit "$code"

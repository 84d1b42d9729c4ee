#!/usr/bin/env bash
# Made linux-x86_64/ in November 2026, of ABI 1.0, with gcc 12.2 on Debian 12. The point of the library is that it stays as
# it is: this runs again only when a major version of the ABI leaves the old one behind.
set -euo pipefail
cd "$(dirname "$0")"
cmake_files=../../../plugin_api/cmake
out=linux-x86_64
mkdir -p "$out"
gcc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -shared -s -Iinclude -DPRECIS_PLUGIN_VERSION='"1.0"' plugin.c \
  -o "$out/libprecis_old_plugin.so" -Wl,--version-script="$cmake_files/precis_plugin.map" -Wl,-z,nodelete -Wl,-z,defs
cmake -DMANIFEST=manifest.json -DLIBRARY="$out/libprecis_old_plugin.so" -DOUTPUT="$out/old_plugin.precis-plugin.json" \
  -DVERSION=1.0 -DPLATFORM=linux-x86_64 -DABI_MAJOR=1 -DABI_MINOR=0 -P "$cmake_files/PrecisManifest.cmake"

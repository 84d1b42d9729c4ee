#!/usr/bin/env bash
# Who may include whom (design: plugin_api <- kernels <- plugins; plugin_api <- core <- registry <- runtime <- models <- pipelines <- cli).
# Usage: layering.sh SOURCE_DIR
set -euo pipefail
cd "$1"
failed=0
# forbid FOLDER PATTERN: no source in FOLDER includes a path that PATTERN matches; tests may.
forbid() {
  local hits
  [ -d "$1" ] || return 0
  hits=$(grep -rnE "#include [<\"]($2)" "$1" --include='*.h' --include='*.hpp' --include='*.c' --include='*.cpp' |
    grep -vE '_test\.cpp:' || true)
  [ -z "$hits" ] && return
  echo "$1 may not include $2:"
  echo "$hits"
  failed=1
}
forbid plugin_api '(core|registry|kernels|plugins|cli|torch|boost|fmt|spdlog)/'
forbid kernels '(core|registry|plugins|cli|precis|torch|boost|fmt|spdlog|nlohmann)/'
forbid plugins '(core|registry|cli|torch|boost|fmt|spdlog)/'
forbid core '(registry|validate|plugins|cli|torch)/'
forbid core '(runtime|models|pipelines)/'
forbid registry '(validate|plugins|cli|torch|runtime|models|pipelines)/'
forbid validate '(kernels|plugins|cli|torch|runtime|models|pipelines)/'
forbid runtime '(kernels|plugins|models|pipelines|cli)/'
forbid models '(kernels|plugins|pipelines|cli)/'
forbid pipelines '(kernels|plugins|cli)/'
[ "$failed" = 0 ] && echo "the layers hold"
exit "$failed"

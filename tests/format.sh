#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# C code is as .clang-format says; `tests/format.sh --fix` makes it so. Scripts parse.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

mapfile -t sources < <(find config ingest kernels sinks daemon bench tests -name '*.[ch]' | sort)
if [[ ${1:-} == --fix ]]; then
  clang-format -i "${sources[@]}"
  exit
fi
clang-format --dry-run -Werror "${sources[@]}"
for script in run .ci/run tests/*.sh; do
  bash -n "$script"
done
echo "format: ${#sources[@]} C files and the scripts are well"

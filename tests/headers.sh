#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone, with gcc and with clang, without a warning.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

read -ra flags <<<"$(pkg-config --cflags libzmq liburing libtiff-4 yaml-0.1 jansson)"
read -ra hdf5 <<<"$(pkg-config --cflags hdf5-serial 2>/dev/null || pkg-config --cflags hdf5)"
flags+=("${hdf5[@]}")
flags+=(-std=gnu11 -D_GNU_SOURCE -I. -fsyntax-only -x c
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror)

checked=0 failed=0
for compiler in gcc clang; do
  command -v "$compiler" >/dev/null || {
    echo "headers: $compiler is not installed"
    exit 1
  }
  for header in */*.h; do
    checked=$((checked + 1))
    # Twice, so that a guard that does not guard is an error as well.
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" | "$compiler" "${flags[@]}" - || {
      echo "headers: $header does not compile alone with $compiler"
      failed=$((failed + 1))
    }
  done
done
echo "headers: $checked compiled, $failed failed"
[[ $checked -gt 0 && $failed -eq 0 ]]

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Spin searches the models of the hand-over between threads exhaustively. Each must be free of
# errors as it is, and each of its BUG_ variants must be found wrong: a model that cannot fail
# proves nothing. 77: spin or a compiler is not installed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

for tool in spin gcc; do
  command -v "$tool" >/dev/null || {
    echo "model: $tool is not installed, skipped"
    exit 77
  }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# search MODEL [-DBUG_X]: leaves the verifier's report in $work/report
search() {
  cp "$1.pml" "$work/model.pml"
  (
    cd "$work"
    rm -f pan pan.*
    spin -a "${@:2}" model.pml
    gcc -O1 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1024 -o pan pan.c
    ./pan -m100000
  ) >"$work/report" 2>&1
}

# An error found, not a search cut short or a model that does not compile.
found() {
  grep -Eq 'pan:1: (assertion violated|invalid end state)' "$work/report"
}

clean() {
  grep -q 'errors: 0$' "$work/report" &&
    ! grep -Eq 'max search depth too small|out of memory|Search not completed' "$work/report"
}

checked=0 failed=0
complain() {
  echo "model: $1"
  cat "$work/report"
  failed=$((failed + 1))
}

for model in sequence idle standstill; do
  checked=$((checked + 1))
  if search "$model" && clean; then
    echo "model: $model: $(grep -Eo '[0-9.e+]+ states, stored' "$work/report"), no error"
  else
    complain "$model is not free of errors"
  fi
  for bug in $(grep -Eo 'BUG_[A-Z_]*[A-Z]' "$model.pml" | sort -u); do
    checked=$((checked + 1))
    search "$model" "-D$bug" || true
    if found; then
      echo "model: $model: $bug found"
    else
      complain "$model: $bug is not found wrong"
    fi
  done
done
echo "model: $checked searches, $failed failed"
[[ $failed -eq 0 ]]

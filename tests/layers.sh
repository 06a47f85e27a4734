#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The include map and the other rules of the tree that a compiler does not check.
#
#   tests/layers.sh [ROOT]       check the tree at ROOT (this repository)
#   tests/layers.sh --self-test  prove on a small tree that each rule can fail
#
# One line per violation, exit 1 when there is any.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)

folders='config ingest kernels sinks daemon tests bench'
top='CHANGELOG.md CMakeLists.txt CMakePresets.json CONTRIBUTING.md LICENSE README.md run'

# What a folder may include: folders, or single headers.
declare -A may_include=(
  [config]='config'
  [kernels]='kernels'
  [ingest]='ingest config kernels/decompress.h kernels/widen.h'
  [sinks]='sinks ingest/frame.h kernels config'
  [daemon]='daemon config ingest kernels sinks'
  [bench]='bench daemon config ingest kernels sinks'
  [tests]='tests bench daemon config ingest kernels sinks'
)

# What the code of a folder may not say: extended regular expressions, on code without comments.
threads='<(pthread|threads)\.h>|\b(pthread|thrd|mtx|cnd)_[a-z]+ *\('
logging='<syslog\.h>|\b(syslog|perror|puts|printf) *\(|\b[fvd]*printf *\( *(stderr|stdout|2) *,|\bfputs *\([^;]*, *(stderr|stdout)\)'
memory_and_io='<(stdio|malloc|fcntl|sys/mman|sys/socket)\.h>|\b(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|alloca|mmap|abort|exit) *\('
declare -A may_not_say=(
  [config]="$threads|$logging"
  [ingest]="$threads|$logging"
  [sinks]="$threads|$logging"
  [kernels]="$threads|$logging|$memory_and_io"
)

violations=0
complain() {
  echo "$*"
  violations=$((violations + 1))
}

# The files of the tree: what git tracks, or all of an unpacked archive.
list_files() {
  if [[ $(git rev-parse --show-toplevel 2>/dev/null) == "$PWD" ]]; then
    git ls-files | while IFS= read -r file; do [[ ! -e $file ]] || echo "$file"; done
  else
    find . \( -path ./.git -o -path './build*' -o -path ./data -o -name __pycache__ \) -prune \
      -o -type f -printf '%P\n' | sort
  fi
}

without_comments() {
  sed -E 's#//.*$##; s#/\*([^*]|\*[^/])*\*/##g' "$1" | sed '/\/\*/,/\*\//d'
}

check_top() {
  local name
  while read -r name; do
    [[ $name == .* || " $top $folders " == *" $name "* ]] ||
      complain "$name: not expected at the top of the tree"
  done < <(printf '%s\n' "${files[@]}" | cut -d/ -f1 | sort -u)
}

check_names() {
  local name file
  while read -r name; do
    complain "$name: the name of more than one file: $(printf '%s\n' "${files[@]}" |
      grep -E "(^|/)${name//./\\.}\$" | tr '\n' ' ')"
  done < <(printf '%s\n' "${files[@]}" | grep -E '\.(c|h|py|sh|pml)$' | sed 's#.*/##' | sort | uniq -d)
  for file in "${files[@]}"; do
    [[ ! $file =~ (^|/)(common|utils?|misc|helpers?)(/|\.[ch]$) ]] ||
      complain "$file: a helper lives with the concept it serves, not in '${BASH_REMATCH[2]}'"
  done
}

check_spdx() {
  local file=$1 lines
  mapfile -t -n 2 lines <"$file"
  case $file in
  *.c | *.h)
    [[ ${lines[0]:-} == '/* SPDX-License-Identifier: Apache-2.0 */' ]] ||
      complain "$file:1: the first line is not the SPDX line"
    ;;
  *.sh | *.py | *.pml | */CMakeLists.txt | CMakeLists.txt | run | .ci/run)
    [[ ${lines[*]} == *'SPDX-License-Identifier: Apache-2.0'* ]] ||
      complain "$file:1: no SPDX line in the first two"
    ;;
  esac
}

check_guard() {
  local file=$1 guard=${1^^}
  guard=${guard//[\/.-]/_}
  [[ $(grep -cE "^#(ifndef|define) $guard\$" "$file") -eq 2 ]] ||
    complain "$file: the include guard is not $guard"
}

check_includes() {
  local file=$1 folder=${1%%/*} line header allowed
  while IFS=: read -r line header; do
    header=${header#*\"} header=${header%%\"*}
    [[ (-e $header || -e $header.in) && $header == */* && $header != *..* ]] || {
      complain "$file:$line: \"$header\" is not a header's path from the root"
      continue
    }
    for allowed in ${may_include[$folder]}; do
      [[ $header != "$allowed" && ${header%%/*} != "$allowed" ]] || continue 2
    done
    complain "$file:$line: $folder/ may not include \"$header\" (only: ${may_include[$folder]})"
  done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file" || true)
}

check_words() {
  local file=$1 folder=${1%%/*} word
  [[ -n ${may_not_say[$folder]:-} ]] || return 0
  grep -qE "${may_not_say[$folder]}" "$file" || return 0 # in a comment it may be said
  while IFS= read -r word; do
    complain "$file: $folder/ may not use '$word'"
  done < <(without_comments "$file" | grep -oE "${may_not_say[$folder]}" | sort -u || true)
}

# A source that no CMakeLists.txt names is dead, or worse: a test that never runs.
check_named() {
  local file=$1 folder=${1%%/*} name=${1##*/} wanted
  wanted="(^|[^[:alnum:]_])${name//./\\.}([^[:alnum:]_]|\$)"
  if [[ $folder == tests && $name =~ ^(test|stress|fuzz|crash)_(.*)\.c$ ]]; then
    wanted="openbeam_(kernel_)?${BASH_REMATCH[1]}\\(${BASH_REMATCH[2]}[ )]|$wanted"
  fi
  grep -qE "$wanted" "$folder/CMakeLists.txt" ||
    complain "$file: not named in $folder/CMakeLists.txt"
}

check_tree() {
  local file
  cd "$1"
  mapfile -t files < <(list_files)
  check_top
  check_names
  for file in "${files[@]}"; do
    check_spdx "$file"
    [[ $file != *.h ]] || check_guard "$file"
    [[ $file == */*.[ch] && -n ${may_include[${file%%/*}]:-} ]] || continue
    check_includes "$file"
    check_words "$file"
    [[ $file != *.c ]] || check_named "$file"
  done
  echo "${#files[@]} files, $violations violations"
  [[ $violations -eq 0 ]]
}

# ---- the self-test: a tree that passes, then one change at a time that must not.

make_good_tree() {
  local folder spdx='/* SPDX-License-Identifier: Apache-2.0 */'
  mkdir -p "$1"
  cd "$1"
  for folder in config ingest kernels sinks daemon bench tests; do
    mkdir -p "$folder"
    printf '# SPDX-License-Identifier: Apache-2.0\nadd_library(%s %s_part.c)\n' "$folder" "$folder" \
      >"$folder/CMakeLists.txt"
    printf '%s\n#ifndef %s_PART_H\n#define %s_PART_H\n#endif\n' "$spdx" \
      "${folder^^}_${folder^^}" "${folder^^}_${folder^^}" >"$folder/${folder}_part.h"
    printf '%s\n#include "%s/%s_part.h"\n' "$spdx" "$folder" "$folder" >"$folder/${folder}_part.c"
  done
  printf '%s\n#ifndef INGEST_FRAME_H\n#define INGEST_FRAME_H\n#endif\n' "$spdx" >ingest/frame.h
  printf '#include "ingest/frame.h"\n#include "kernels/kernels_part.h"\n' >>sinks/sinks_part.c
  printf '/* never call pthread_create() or malloc() */\n' >>kernels/kernels_part.c
  printf '# SPDX-License-Identifier: Apache-2.0\n' >CMakeLists.txt
}

expect_failure() {
  local what=$1 change=$2 expected=$3 tree="$trees/bad" said
  rm -rf "$tree"
  cp -r "$trees/good" "$tree"
  (cd "$tree" && eval "$change")
  if said=$("$here/layers.sh" "$tree" 2>&1); then
    complain "self-test: $what was not noticed"
  elif [[ $said != *"$expected"* ]]; then
    complain "self-test: $what was reported as: $said"
  fi
}

self_test() {
  trees=$(mktemp -d)
  trap 'rm -rf "$trees"' EXIT
  (make_good_tree "$trees/good")
  "$here/layers.sh" "$trees/good" >"$trees/said" || complain "self-test: $(<"$trees/said")"

  include() { echo "echo '#include \"$2\"' >>$1/${1}_part.c"; }
  expect_failure 'config including ingest' "$(include config ingest/frame.h)" 'config/ may not'
  expect_failure 'kernels including config' "$(include kernels config/config_part.h)" 'kernels/ may not'
  expect_failure 'ingest including sinks' "$(include ingest sinks/sinks_part.h)" 'ingest/ may not'
  expect_failure 'ingest including kernels' "$(include ingest kernels/kernels_part.h)" 'ingest/ may not'
  expect_failure 'sinks including more of ingest' "$(include sinks ingest/ingest_part.h)" 'sinks/ may not'
  expect_failure 'sinks including daemon' "$(include sinks daemon/daemon_part.h)" 'sinks/ may not'
  expect_failure 'daemon including tests' "$(include daemon tests/tests_part.h)" 'daemon/ may not'
  expect_failure 'daemon including bench' "$(include daemon bench/bench_part.h)" 'daemon/ may not'
  expect_failure 'bench including tests' "$(include bench tests/tests_part.h)" 'bench/ may not'
  expect_failure 'an include from beside' "$(include daemon daemon_part.h)" 'path from the root'
  expect_failure 'a climbing include' "$(include daemon ../config/config_part.h)" 'path from the root'

  say() { echo "echo '$2' >>$1/${1}_part.c"; }
  expect_failure 'a thread in ingest' "$(say ingest 'void f(void) { pthread_create(0, 0, 0, 0); }')" pthread_create
  expect_failure 'threads.h in sinks' "$(say sinks '#include <threads.h>')" threads.h
  expect_failure 'a log line in sinks' "$(say sinks 'void f(void) { fprintf(stderr, "x"); }')" fprintf
  expect_failure 'a print in config' "$(say config 'void f(void) { printf("x"); }')" printf
  expect_failure 'malloc in kernels' "$(say kernels 'void *f(void) { return malloc(1); }')" malloc
  expect_failure 'stdio in kernels' "$(say kernels '#include <stdio.h>')" stdio.h

  expect_failure 'a missing SPDX line' 'sed -i 1d daemon/daemon_part.c' SPDX
  expect_failure 'a wrong guard' "sed -i 's/CONFIG_CONFIG/CONFIG/' config/config_part.h" guard
  expect_failure 'a name used twice' 'cp config/config_part.c daemon/' 'more than one file'
  expect_failure 'a util.h' 'cp config/config_part.h config/util.h' "not in 'util'"
  expect_failure 'a common folder' 'mkdir common && echo >common/x.txt' "not in 'common'"
  expect_failure 'a stray file' 'echo >notes.txt' 'not expected at the top'
  expect_failure 'a source nobody builds' 'cp config/config_part.c config/other.c' 'not named in'
  echo "self-test: $violations failures"
  [[ $violations -eq 0 ]]
}

case ${1:-} in
--self-test) self_test ;;
--help | -h) sed -n '3,8s/^# \{0,1\}//p' "$0" ;;
*) check_tree "$(readlink -f "${1:-$here/..}")" ;;
esac

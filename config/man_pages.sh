#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make the pages of the programs from what their --help prints, compressed.
#   man_pages.sh FOLDER-OF-PROGRAMS FOLDER-OF-PAGES VERSION DATE
set -eu

here=$(cd "$(dirname "$0")" && pwd)
programs=$1 pages=$2 version=$3 date=$4
mkdir -p "$pages"

# head NAME SECTION SUMMARY
head() {
  printf '.TH %s %s %s "openbeam %s" openbeam\n' \
    "$(printf '%s' "$1" | tr '[:lower:]' '[:upper:]' | sed 's/-/\\-/g')" "$2" "$date" "$version"
  printf '.SH NAME\n%s \\- %s\n' "$(printf '%s' "$1" | sed 's/-/\\-/g')" "$3"
}

# help HEADING PROGRAM [COMMAND]: the help must be there before it is converted.
help() {
  heading=$1
  shift
  program=$1
  shift
  text=$("$programs/$program" "$@" --help)
  printf '%s\n' "$text" | awk -v heading="$heading" -f "$here/man_page.awk"
}

# One page, from what is printed on standard input.
page() {
  cat >"$pages/$1"
  gzip -9nc "$pages/$1" >"$pages/$1.gz"
}

# The commands of openbeam, as it lists them to who asks for one that is not there.
commands() {
  said=$("$programs/openbeam" no-such-command 2>&1) || true
  list=$(printf '%s\n' "$said" | sed -n 's/.*; there are \(.*\), --help and --version$/\1/p')
  [ -n "$list" ] || {
    echo "man_pages.sh: openbeam does not list its commands: $said" >&2
    return 1
  }
  printf '%s\n' "$list"
}

openbeamd_page() {
  head openbeamd 8 "real-time detector stream processor" &&
    help 0 openbeamd && cat "$here/openbeamd.8.in"
}

openbeam_page() {
  head openbeam 1 "measure with openbeamd, and look after its data" && help 0 openbeam || return
  names=$(commands) seen='' || return
  for name in $names; do
    text=$("$programs/openbeam" "$name" --help) || return
    case $seen in *"$text"*) continue ;; esac
    seen="$seen$text"
    printf '.SH "OPENBEAM %s"\n' "$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')"
    help 1 openbeam "$name" || return
  done
  printf '.SH SEE ALSO\n.BR openbeamd (8),\n.BR openbeam.yaml (5)\n'
}

send_page() {
  head openbeam-send 1 "simulated detector, and replayer of recorded streams" &&
    help 0 openbeam-send &&
    printf '.SH SEE ALSO\n.BR openbeamd (8),\n.BR openbeam (1)\n'
}

bench_page() {
  head openbeam-bench 1 "what this machine and openbeam can do, side by side" &&
    help 0 openbeam-bench &&
    printf '.SH SEE ALSO\n.BR openbeamd (8),\n.BR openbeam\\-send (1)\n'
}

yaml_page() {
  "$programs/../man/openbeam-yaml-man" "$version" "$date"
}

text=$(openbeamd_page) && printf '%s\n' "$text" | page openbeamd.8
text=$(openbeam_page) && printf '%s\n' "$text" | page openbeam.1
text=$(send_page) && printf '%s\n' "$text" | page openbeam-send.1
text=$(bench_page) && printf '%s\n' "$text" | page openbeam-bench.1
text=$(yaml_page) && printf '%s\n' "$text" | page openbeam.yaml.5

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts into a folder works from there: tests/install.sh BUILD-FOLDER
# One line per check, and at the end "N passed, N failed, N skipped".
set -uo pipefail

build=$1
prefix=$(mktemp -d /tmp/ob-install-XXXXXX)
trap 'rm -rf "$prefix"' EXIT
passed=0 failed=0 skipped=0

# check SENTENCE COMMAND...: what it says is shown when it fails.
check() {
  local sentence=$1 said
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok   $sentence"
  else
    failed=$((failed + 1))
    printf 'FAIL %s\n%s\n' "$sentence" "$said"
  fi
}

skip() {
  skipped=$((skipped + 1))
  echo "skip $1: $2"
}

install_it() {
  cmake --install "$build" --prefix "$prefix"
}

everything_is_there() {
  local file
  for file in bin/{openbeamd,openbeam,openbeam-send,openbeam-bench} etc/openbeam/openbeam.yaml \
    lib/systemd/system/openbeamd.service lib/sysusers.d/openbeam.conf \
    share/man/man1/{openbeam,openbeam-send,openbeam-bench}.1.gz share/man/man5/openbeam.yaml.5.gz \
    share/man/man8/openbeamd.8.gz share/doc/openbeam/{LICENSE,shm.md} \
    share/doc/openbeam/examples/{shm_example.c,shm_ring.h}; do
    [[ -s $prefix/$file ]] || { echo "$file is missing" && return 1; }
  done
  for file in config/openbeam-alerts.yaml:share/openbeam/openbeam-alerts.yaml \
    bench/client.py:share/doc/openbeam/examples/client.py; do
    [[ ! -e ${file%:*} ]] || cmp "${file%:*}" "$prefix/${file#*:}" || return
  done
}

programs_run() {
  "$prefix/bin/openbeamd" -c "$prefix/etc/openbeam/openbeam.yaml" --print-config |
    cmp - "$prefix/etc/openbeam/openbeam.yaml" &&
    "$prefix/bin/openbeam" --version && "$prefix/bin/openbeam-send" --version &&
    "$prefix/bin/openbeam-bench" --version
}

a_changed_configuration_stays() {
  local file="$prefix/etc/openbeam/openbeam.yaml"
  echo "series: {name: mine}" >"$file"
  install_it >/dev/null && grep -q mine "$file" &&
    diff <(sed 's,    directory: data$,    directory: /var/lib/openbeam/data,' config/openbeam.yaml) \
      "$file.new"
}

of_unit() {
  sed -n "s/^$1=//p" "$prefix/lib/systemd/system/openbeamd.service"
}

the_unit_names_what_is_installed() {
  local start
  start=$(of_unit ExecStart)
  [[ $start == "$prefix/bin/openbeamd -c $prefix/etc/openbeam/openbeam.yaml" ]] ||
    { echo "ExecStart=$start" && return 1; }
}

# Between a fifth and a half more than the ceiling of the configuration beside it.
the_units_memory_fits() {
  local ceiling max
  ceiling=$("$prefix/bin/openbeamd" -c config/openbeam.yaml --print-ceiling) || return
  max=$(($(of_unit MemoryMax | tr -d M) << 20))
  echo "MemoryMax $max, ceiling $ceiling"
  [[ $max -ge $((ceiling * 6 / 5)) && $max -le $((ceiling * 3 / 2)) ]]
}

systemd_accepts_the_unit() {
  local said
  said=$(systemd-analyze verify --man=no "$prefix/lib/systemd/system/openbeamd.service" 2>&1) ||
    { echo "$said" && return 1; }
  said=$(grep openbeamd <<<"$said")
  [[ -z $said ]] || { echo "$said" && return 1; }
}

the_unit_is_hardened() {
  systemd-analyze security --no-pager --offline=yes --threshold=30 \
    "$prefix/lib/systemd/system/openbeamd.service"
}

page() {
  gzip -dc "$prefix"/share/man/man?/"$1".gz
}

text_of() {
  page "$1" | sed -e 's/\\f[BIR]//g' -e 's/\\-/-/g'
}

pages_are_clean() {
  local name said
  for name in openbeam.1 openbeam-send.1 openbeam-bench.1 openbeam.yaml.5 openbeamd.8; do
    said=$(page "$name" | groff -ww -man -Tutf8 2>&1 >/dev/null)
    [[ -z $said ]] || { echo "$name: $said" && return 1; }
    [[ $(page "$name") == *$'\n.SH NAME\n'* ]] || { echo "$name has no NAME" && return 1; }
  done
}

# has_options PAGE PROGRAM [COMMAND]: every option that its help has.
has_options() {
  local text option
  text=$(text_of "$1")
  shift
  while read -r option; do
    grep -qF -e "$option" <<<"$text" || { echo "$*: $option is not in its page" && return 1; }
  done < <("$prefix/bin/$1" "${@:2}" --help | grep -oE -e '--[a-z][a-z-]+' | sort -u)
}

pages_have_every_option() {
  local command commands text
  text=$(text_of openbeam.1)
  has_options openbeamd.8 openbeamd && has_options openbeam-send.1 openbeam-send &&
    has_options openbeam-bench.1 openbeam-bench && has_options openbeam.1 openbeam || return
  commands=$("$prefix/bin/openbeam" no-such-command 2>&1 | sed 's/.*there are \(.*\), --help.*/\1/')
  [[ $(wc -w <<<"$commands") -gt 5 ]] || { echo "commands: $commands" && return 1; }
  for command in $commands; do
    has_options openbeam.1 openbeam "$command" || return
    grep -qE "^openbeam $command( |$)" <<<"$text" ||
      { echo "openbeam $command is not in the page" && return 1; }
  done
}

# The keys of the manual by their indentation, each a line of its own in the page.
the_page_has_every_key() {
  local key count=0 text
  text=$(text_of openbeam.yaml.5)
  while read -r key; do
    count=$((count + 1))
    grep -qxE "\.B ([a-z_.N]+\.)?$key" <<<"$text" || { echo "$key is not in the page" && return 1; }
  done < <(sed -nE 's/^ *(# (- |  ))?(- )?([a-z_]+): .+/\4/p' config/openbeam.yaml | sort -u)
  [[ $count -gt 60 ]]
}

cd "$(dirname "$(readlink -f "$0")")/.." || exit
build=$(readlink -f "$build")
check 'it installs' install_it
check 'everything is there' everything_is_there
check 'programs run from where they are' programs_run
check 'a configuration that was changed stays' a_changed_configuration_stays
check 'the unit names what is installed' the_unit_names_what_is_installed
check "the unit's memory fits its configuration" the_units_memory_fits
if command -v systemd-analyze >/dev/null; then
  check 'systemd accepts the unit' systemd_accepts_the_unit
  check 'the unit is hardened' the_unit_is_hardened
else
  skip 'systemd accepts the unit' 'no systemd-analyze'
  skip 'the unit is hardened' 'no systemd-analyze'
fi
check 'pages are without a warning' pages_are_clean
check 'pages have every option of --help' pages_have_every_option
check 'openbeam.yaml(5) has every key' the_page_has_every_key
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]

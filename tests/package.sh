#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian package in a Debian 12 of its own: tests/package.sh PACKAGE CACHE-FOLDER
#   by hand     installed, started by the command line of its unit as the user of its unit,
#               measured with, removed and purged
#   by systemd  the same with systemd as it is in Debian 12, booted in a container: notify, watchdog,
#               limits and seccomp filter of the unit, the journal
# One line per check, and at the end "N passed, N failed, N skipped". Needs root; the folder keeps the
# system that is unpacked, for the next time.
set -uo pipefail

package=$(readlink -f "$1")
mkdir -p "$2"
cache=$(readlink -f "$2")
passed=0 failed=0 skipped=0
system=''

# Mounts are this process' own.
if [[ $EUID -eq 0 && -z ${OPENBEAM_TEST_MOUNTS:-} ]]; then
  exec env OPENBEAM_TEST_MOUNTS=own unshare --mount --propagation private "$0" "$@"
fi

clean_up() {
  [[ -z $system ]] || umount "$system/proc" 2>/dev/null
  [[ -z $system ]] || rm -rf --one-file-system "$system"
}
trap clean_up EXIT

# check SENTENCE COMMAND...: what it says is shown when it fails.
check() {
  local sentence=$1 said status=0 started=$SECONDS
  shift
  said=$("$@" 2>&1 </dev/null) || status=$?
  if [[ $status -eq 0 ]]; then
    passed=$((passed + 1))
    echo "ok   $sentence ($((SECONDS - started)) s)"
    [[ -z ${VERBOSE:-} ]] || printf '%s\n' "$said"
    return 0
  fi
  failed=$((failed + 1))
  printf 'FAIL %s\n%s\n' "$sentence" "$said"
  return 1
}

summary() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [[ $failed -eq 0 ]]
}

skip() {
  skipped=$((skipped + 1))
  echo "skip $1: $2"
}

inside() {
  DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$system" "$@"
}

# A bare Debian 12 from the mirror that this machine uses.
make_system() {
  local sources=()
  [[ ! -s /etc/apt/sources.list.d/debian.sources ]] || sources=(/etc/apt/sources.list.d/debian.sources)
  [[ -s $cache/debian12.tar ]] ||
    { mmdebstrap --variant=apt --format=tar bookworm "$cache/debian12.tar.new" "${sources[@]}" &&
      mv "$cache/debian12.tar.new" "$cache/debian12.tar"; } || return
  tar -xf "$cache/debian12.tar" -C "$system" && cp "$package" "$system/openbeam.deb" &&
    mount -t proc proc "$system/proc" && inside apt-get update -q
}

install() {
  inside apt-get install -y -q --no-install-recommends /openbeam.deb
}

install_beside_systemd() {
  inside apt-get install -y -q --no-install-recommends systemd dbus && install
}

lintian_is_content() {
  local said
  said=$(lintian --allow-root --fail-on error,warning \
    --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog "$package" 2>&1) ||
    { echo "$said" && return 1; }
}

programs_run() {
  inside openbeamd --version && inside openbeam --version && inside openbeam-send --version &&
    inside openbeam-bench --version &&
    inside openbeamd -c /etc/openbeam/openbeam.yaml --check
}

# A minimal system leaves the manual out: dpkg is asked, and the archive.
manual_is_there() {
  local page
  for page in man1/openbeam.1 man1/openbeam-send.1 man1/openbeam-bench.1 man5/openbeam.yaml.5 \
    man8/openbeamd.8; do
    inside dpkg -L openbeam | grep -x "/usr/share/man/$page.gz" || return
    dpkg-deb --fsys-tarfile "$package" | tar -xO "./usr/share/man/$page.gz" | gzip -t || return
  done
}

it_neither_starts_nor_is_enabled() {
  local root
  for root in /proc/[0-9]*/root; do
    [[ $(readlink "$root") != "$system" ]] || { cat "${root%root}comm" && return 1; }
  done
  [[ -z $(find "$system/etc/systemd" -name 'openbeamd*') ]]
}

the_user_is_there() {
  local passwd
  passwd=$(inside getent passwd openbeam) && echo "$passwd" && [[ $passwd == *:/var/lib/openbeam:* ]] &&
    [[ $(inside stat -c '%U:%G %a' /var/lib/openbeam/data) == 'openbeam:openbeam 755' ]]
}

# Sends 100 frames and waits until their series is closed; for both ways of starting.
write_measure() {
  cat >"$system/measure" <<'SH'
#!/bin/sh
# measure: frames through the daemon that runs; what it wrote is proved.
set -eux
openbeam-send --to tcp://127.0.0.1:9999 --size 320x240 --frames 100 --rate 200 --quiet
for moment in $(seq 200); do
  [ -s /var/lib/openbeam/data/series-0001/frames.csv ] && break
  sleep 0.1
done
openbeam status
openbeam audit /var/lib/openbeam/data
[ "$(grep -c ',written,' /var/lib/openbeam/data/series-0001/frames.csv)" -eq 100 ]
[ "$(stat -c %U /var/lib/openbeam/data/series-0001)" = openbeam ]
SH
  cat >"$system/by-hand" <<'SH'
#!/bin/sh
set -eux
of_unit() { sed -n "s/^$1=//p" /usr/lib/systemd/system/openbeamd.service; }
cd "$(of_unit WorkingDirectory | sed 's,%S,/var/lib,')"
ulimit -l unlimited || true # not in every container
setpriv --reuid "$(of_unit User)" --regid "$(of_unit Group)" --init-groups --no-new-privs \
  $(of_unit ExecStart) &
daemon=$!
trap 'kill -KILL $daemon' EXIT
until openbeam status; do kill -0 $daemon; sleep 0.1; done
/measure
kill -TERM $daemon
trap - EXIT
wait $daemon
SH
  cat >"$system/by-systemd" <<'SH'
#!/bin/sh
set -eux
show() { systemctl show -p "$1" --value openbeamd; }
[ "$(systemctl is-enabled openbeamd)" = disabled ]
systemctl start openbeamd
openbeam status
[ "$(show StatusText)" = 'idle: series closed 0' ] || sleep 3
show StatusText | grep -x 'idle: series closed 0'
[ "$(show MemoryMax)" = 6174015488 ] && [ "$(show LimitMEMLOCK)" = infinity ]
pid=$(show MainPID)
[ "$(stat -c %U /proc/$pid)" = openbeam ]
grep -x 'Seccomp:.2' /proc/$pid/status && grep -x 'NoNewPrivs:.1' /proc/$pid/status
/measure
sleep 3
show StatusText | grep -x 'idle: series closed 1'
: a process that stands still is ended by the watchdog, and started anew
kill -STOP $pid
for moment in $(seq 60); do
  [ "$(show NRestarts)" = 1 ] && [ "$(show ActiveState)" = active ] && break
  sleep 0.5
done
openbeam status
[ "$(show MainPID)" != $pid ] && [ "$(show NRestarts)" = 1 ]
: a series with losses is a result
openbeam-send --to tcp://127.0.0.1:9999 --size 64x48 --frames 200 --lose 0.2 --quiet
for moment in $(seq 200); do
  [ -s /var/lib/openbeam/data/series-0002/frames.csv ] && break
  sleep 0.1
done
systemctl stop openbeamd
[ "$(show ExecMainStatus)" = 1 ] && [ "$(show Result)" = success ]
[ "$(show ActiveState)" = inactive ]
journalctl -u openbeamd -o json | grep -F '"PRIORITY":"6"' | grep -F '"MESSAGE":"info daemon: openbeamd '
journalctl -u openbeamd -o cat | grep 'writer=io_uring'
[ "$(journalctl -u openbeamd -o cat _COMM=openbeamd | grep -c progress:)" = 0 ]
SH
  chmod 755 "$system/measure" "$system/by-hand" "$system/by-systemd"
}

# In a network of its own, so that the default ports are free.
measure_by_hand() {
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --net bash -c 'ip link set lo up && LC_ALL=C chroot "$0" /by-hand' "$system"
}

remove_and_purge() {
  inside apt-get remove -y -q openbeam && [[ -e $system/etc/openbeam/openbeam.yaml ]] &&
    inside apt-get purge -y -q openbeam
}

# Of ours, outside the data.
nothing_is_left_over() {
  ! find "$system/etc" "$system/usr" "$system/var" "$system/run" -xdev -iname '*openbeam*' \
    -not -path "$system/var/lib/openbeam*" -not -path "$system/var/log/*" | grep .
}

data_stay_with_their_owner() {
  [[ -s $system/var/lib/openbeam/data/series-0001/frames.csv ]] &&
    inside getent passwd openbeam && nothing_is_left_over
}

without_data_nothing_stays() {
  rm -rf "$system/var/lib/openbeam/data/series-0001"
  install && inside apt-get purge -y -q openbeam || return
  [[ ! -e $system/var/lib/openbeam ]] && ! inside getent passwd openbeam && nothing_is_left_over
}

boot() {
  cat >"$system/etc/systemd/system/measure.service" <<'UNIT'
[Unit]
After=network.target
[Service]
Type=oneshot
ExecStart=/by-systemd
ExecStopPost=/bin/sh -c 'echo $$EXIT_CODE $$EXIT_STATUS >/result; systemctl poweroff --no-block'
StandardOutput=file:/said
StandardError=inherit
[Install]
WantedBy=multi-user.target
UNIT
  inside systemctl enable measure.service
  umount "$system/proc"
  timeout -k 10 180 systemd-nspawn --directory "$system" --boot --register=no --keep-unit \
    --private-network --console=pipe >"$system/console" 2>&1
  mount -t proc proc "$system/proc"
  [[ -e $system/said ]]
}

cannot_boot() {
  command -v systemd-nspawn >/dev/null || { echo 'no systemd-nspawn' && return; }
  timeout 30 systemd-nspawn --directory "$system" --register=no --keep-unit --private-network \
    --pipe true >"$cache/nspawn.log" 2>&1 || tail -n 1 "$cache/nspawn.log"
}

it_works_as_a_service() {
  cat "$system/said"
  [[ $(cat "$system/result") == 'exited 0' ]]
}

by_systemd() {
  local why
  check 'it is installed beside systemd' install_beside_systemd || return
  why=$(umount "$system/proc" && cannot_boot)
  mountpoint -q "$system/proc" || mount -t proc proc "$system/proc"
  if [[ -n $why ]]; then
    skip 'it works as a service' "$why"
    return
  fi
  check 'systemd boots' boot && check 'it works as a service' it_works_as_a_service
  check 'it is removed and purged' remove_and_purge
  check 'data stay with their owner' data_stay_with_their_owner
}

if [[ $EUID -ne 0 ]]; then
  skip 'the package in a Debian 12 of its own' 'needs root'
  summary
  exit
fi
check 'lintian is content' lintian_is_content
system=$(mktemp -d /var/tmp/ob-package-XXXXXX)
chmod 755 "$system"
check 'there is a bare Debian 12' make_system || { summary && exit; exit 1; }
write_measure
check 'it is installed' install || { summary && exit; exit 1; }
check 'the user and the directory are there' the_user_is_there
check 'programs run' programs_run
check 'the manual is there' manual_is_there
check 'it neither starts nor is enabled' it_neither_starts_nor_is_enabled
check 'it measures, started as its unit does' measure_by_hand
check 'it is removed and purged' remove_and_purge
check 'data stay with their owner' data_stay_with_their_owner
check 'without data nothing stays' without_data_nothing_stays
by_systemd
summary

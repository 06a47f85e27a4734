#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The programs of an aarch64 build under qemu-user: they print what those of this machine print, and
# a series through them has the ledger that it has here: the same pixels, statistics and checksums.
#
#   aarch64.sh AARCH64_BIN NATIVE_BIN SYSROOT
set -euo pipefail

aarch64=$1 native=$2
emulator=(qemu-aarch64 -L "$3")
scratch=$(mktemp -d /tmp/openbeam-aarch64.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

# Columns that do not say when.
timeless() {
  python3 - "$1" <<'PYTHON'
import csv, sys
for row in csv.DictReader(open(sys.argv[1])):
    print([value for name, value in row.items() if not name.endswith("_ns")])
PYTHON
}

# measure NAME PROTOCOL BIN [EMULATOR...]
measure() {
  local name=$1 protocol=$2 bin=$3 folder="$scratch/$1" daemon
  shift 3
  mkdir "$folder"
  timeout 120 "$@" "$bin/openbeamd" --series 1 \
    --set "ingest.endpoints=[\"ipc://$folder/camera\"]" --set ingest.attach=bind \
    --set "ingest.protocol=$protocol" \
    --set 'ingest.frame={width: 331, height: 257, type: uint16}' \
    --set series.first=0 --set series.frames=30 \
    --set "calibration={dark: $scratch/dark.tif, flat: $scratch/flat.tif}" \
    --set reduce.bin=2 --set reduce.type=uint16 \
    --set "sinks=[{format: raw, directory: $folder}]" &
  daemon=$!
  until [[ -S $folder/camera ]] || ! kill -0 "$daemon" 2>/dev/null; do sleep 0.1; done
  timeout 120 "$@" "$bin/openbeam-send" --to "ipc://$folder/camera" --attach connect \
    --protocol "$protocol" --size 331x257 --frames 30 --quiet
  wait "$daemon"
  timeless "$folder"/series-0001/frames.csv >"$scratch/$name.ledger"
}

"${emulator[@]}" "$aarch64/openbeamd" --version
"${emulator[@]}" "$aarch64/openbeamd" --list >/dev/null
diff <("${emulator[@]}" "$aarch64/openbeamd" --print-config) <("$native/openbeamd" --print-config)

"$native/openbeam-send" --size 331x257 --write-dark "$scratch/dark.tif" --write-flat "$scratch/flat.tif"
# One plain, one compressed with bitshuffle and LZ4.
for protocol in array-1.0 dectris-v1; do
  rm -rf "$scratch"/{aarch64,native}
  measure aarch64 "$protocol" "$aarch64" "${emulator[@]}"
  measure native "$protocol" "$native"
  [[ $(wc -l <"$scratch/native.ledger") -eq 30 ]]
  diff "$scratch/aarch64.ledger" "$scratch/native.ledger"
  cmp "$scratch"/{aarch64,native}/series-0001/histogram.csv
  cmp "$scratch"/{aarch64,native}/series-0001/series-0001_000000.raw
done
echo "twice 30 frames: the same pixels, ledger and histograms"

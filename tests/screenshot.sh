#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Renew the picture of the dashboard: `tests/screenshot.sh [BIN]`, BIN being the folder with the
# built programs (default: build/release/bin). A measurement of a minute is shown.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

bin=$(realpath "${1:-build/release/bin}")
/usr/bin/python3 tests/e2e.py --bin "$bin" --long --only the_page_can_be_read_and_used_by_everybody
/usr/bin/python3 tests/screenshot.py "$bin/../../log/page-wide-dark.png" daemon/page/dashboard.png

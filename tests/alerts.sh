#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The alert rules as Prometheus reads them, and what they say of series that fire and that do not.
# Exit 77: Debian's package prometheus is not there.
set -eu
cd "$(dirname "$0")/.."
if ! command -v promtool >/dev/null; then
	echo "skipped: no promtool (package prometheus)"
	exit 77
fi
promtool check rules --lint=all --lint-fatal config/openbeam-alerts.yaml
promtool test rules tests/alerts.yaml

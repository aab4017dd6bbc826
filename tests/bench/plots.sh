#!/usr/bin/env bash
# Draws docs/performance/*.svg from a report of run.sh --json, or without an argument from a new run.
# Needs gnuplot and python3. Usage: plots.sh [REPORT]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)

if ! command -v gnuplot >/dev/null; then
	echo "plots: gnuplot is missing (package gnuplot-nox)" >&2
	exit 1
fi
report=${1:-}
if [ -z "$report" ]; then
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	report=$scratch/report.json
	"$here/run.sh" --scenario paced --scenario attach --scenario loss \
		--scenario packets --scenario names --scenario rules --json "$report"
fi
python3 "$here/plots.py" "$report" "$top/docs/performance"

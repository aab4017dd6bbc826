#!/usr/bin/env bash
# Draws docs/performance/*.svg anew: out of a report that run.sh --json wrote,
# or, without an argument, out of a run of its own. Needs gnuplot, python3.
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
	"$here/run.sh" --scenario paced --scenario attach --scenario loss --json "$report"
fi
python3 "$here/plots.py" "$report" "$top/docs/performance"

#!/usr/bin/env bash
# Checks wakeup.pml with spin. The complete design must be found right, and each variant
# that lacks one ingredient wrong. The exit status is 77 if spin is missing.
set -euo pipefail

model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/wakeup.pml
for tool in spin "${CC:=cc}"; do
	if ! command -v "$tool" >/dev/null; then
		echo "skipped: $tool is not installed; cmake/deps.sh test installs it"
		exit 77
	fi
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
failed=0

# check right|wrong DEFINITION...: searches all states, or up to the first bad one
check() {
	local expected=$1 verdict=neither
	shift
	if ! spin "$@" -a "$model" >log 2>&1 ||
		! "$CC" -O1 -w -DSAFETY -o pan pan.c >>log 2>&1 ||
		! ./pan -m1000000 >>log 2>&1; then
		verdict="not checked"
	elif grep -q 'max search depth too small\|Search not completed\|out of memory' log &&
		! grep -q 'assertion violated' log; then
		verdict="not completed"
	elif grep -q 'assertion violated (consumer_pos==producer_pos)' log; then
		verdict=wrong
	elif grep -q 'errors: 0$' log; then
		verdict=right
	fi
	printf '%-36s %-6s %s\n' "${*:-complete}" "$verdict" "$(grep -o '[0-9]* states, stored' log || true)"
	if [ "$verdict" != "$expected" ]; then
		echo "  expected: $expected" >&2
		cat log >&2
		failed=1
	fi
}

check right
check right -DPOLL
for missing in NO_REARMING COUNT_SUBMITTED_ONLY FLAG_BEFORE_RESERVE NO_DELAY NO_FENCE; do
	check wrong -D$missing
	check wrong -D$missing -DPOLL
done
# poll and read drain what is left in the ring; a host's own event loop does not
check wrong -DNO_RELIST
check right -DNO_RELIST -DPOLL
exit $failed

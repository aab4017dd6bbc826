#!/usr/bin/env bash
# Attaches and detaches sessions under mixed load for MINUTES; needs root. Prints once per
# minute how many events were made, delivered and lost, and which resources are held. The exit
# status is 1 if an event is not accounted for or a resource grows. Usage: tests/soak.sh MINUTES
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_ROOT:-$top/build}/main
minutes=${1:-}
if [[ ! $minutes =~ ^[0-9]+$ ]]; then
	echo "usage: $0 MINUTES" >&2
	exit 2
fi
mkdir -p "$build"
if ! {
	cmake -S "$top" -B "$build" -G Ninja -DAGENTSH_EBPF_TESTS=ON &&
		cmake --build "$build" --target test-live-soak
} >"$build/soak-build.log" 2>&1; then
	tail -n 60 "$build/soak-build.log" >&2
	exit 1
fi
SOAK_SECONDS=$((minutes * 60)) "$build/tests/live/test-live-soak"

#!/usr/bin/env bash
# Compares a library and its header with the committed baseline. What a host that
# is already built could not live with fails, and so does what is only new: the
# baseline must tell the whole ABI.
# Usage: compare.sh LIBRARY HEADER [BASELINE-DIRECTORY]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=$1
header=$2
baseline=${3:-$here}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/baseline.sh" "$library" "$header" "$work"

incompatible=0 added=0

# abidiff's status: 1 and 2 mean that it failed itself, 4 a change, 8 an incompatible one
status=0
abidiff --no-show-locs --harmless "$baseline/libagentsh-ebpf.abi" "$work/libagentsh-ebpf.abi" \
	>"$work/report" 2>&1 || status=$?
if [ $((status & 3)) -ne 0 ]; then
	cat "$work/report" >&2
	exit 1
fi
if [ "$status" -ne 0 ]; then
	cat "$work/report"
	# Functions that came do not hurt; what else abidiff reports may.
	if [ $((status & 8)) -ne 0 ] ||
		! grep -qE 'Functions changes summary: 0 Removed, 0 Changed.*, [0-9]+ Added' "$work/report"; then
		incompatible=1
	else
		added=1
	fi
fi

LC_ALL=C sort "$baseline/constants.txt" >"$work/old"
LC_ALL=C sort "$work/constants.txt" >"$work/new"
if [ -n "$(LC_ALL=C comm -23 "$work/old" "$work/new")" ]; then
	echo "constants that are gone or have another value:"
	LC_ALL=C comm -23 "$work/old" "$work/new"
	incompatible=1
fi
if [ -n "$(LC_ALL=C comm -13 "$work/old" "$work/new")" ]; then
	echo "constants that are not in the baseline:"
	LC_ALL=C comm -13 "$work/old" "$work/new"
	added=1
fi

if [ $incompatible -ne 0 ]; then
	cat >&2 <<-EOF
		compare.sh: $library is not compatible with the baseline.
		Hosts that are already built would break, unless all there is are members at the end of
		a struct that begins with its size, or in place of reserved bytes. If so, or as long as
		1.0 is not released, make a new baseline and commit it: tests/abi/update.sh
		Anything else takes a new soname (cmake/AgentshVersion.cmake).
	EOF
elif [ $added -ne 0 ]; then
	echo "compare.sh: $library has what the baseline has not." >&2
	echo "If it is meant to be in the ABI for ever, add it to the baseline and commit: tests/abi/update.sh" >&2
fi
[ $((incompatible + added)) -eq 0 ]

#!/usr/bin/env bash
# Compares a library and its header with the committed baseline. Fails for a change
# that breaks existing hosts, and for an addition, because the baseline must contain
# the whole ABI.
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

# Bits of abidiff's status: 1 and 2: abidiff failed; 4: a change; 8: an incompatible change
status=0
abidiff --no-show-locs --harmless "$baseline/libagentsh-ebpf.abi" "$work/libagentsh-ebpf.abi" \
	>"$work/report" 2>&1 || status=$?
if [ $((status & 3)) -ne 0 ]; then
	cat "$work/report" >&2
	exit 1
fi
if [ "$status" -ne 0 ]; then
	cat "$work/report"
	# New functions are compatible; any other change may not be.
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
	echo "constants that were removed or changed:"
	LC_ALL=C comm -23 "$work/old" "$work/new"
	incompatible=1
fi
if [ -n "$(LC_ALL=C comm -13 "$work/old" "$work/new")" ]; then
	echo "constants that were added:"
	LC_ALL=C comm -13 "$work/old" "$work/new"
	added=1
fi

if [ $incompatible -ne 0 ]; then
	cat >&2 <<-EOF
		compare.sh: $library is not compatible with the baseline.
		Existing hosts would break, unless the only changes are new members at the end of a
		struct that begins with its size, or in place of reserved bytes. In that case, or
		before 1.0 is released, write a new baseline and commit it: tests/abi/update.sh
		Any other change requires a new soname (cmake/AgentshVersion.cmake).
	EOF
elif [ $added -ne 0 ]; then
	echo "compare.sh: $library has additions that the baseline lacks." >&2
	echo "To make them a permanent part of the ABI, write a new baseline and commit it: tests/abi/update.sh" >&2
fi
[ $((incompatible + added)) -eq 0 ]

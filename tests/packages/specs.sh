#!/usr/bin/env bash
# Checks the RPM spec and the PKGBUILD, which no test builds: the linters find nothing, and versions
# are those of the header.
# Usage: specs.sh [DIRECTORY] (default: cmake/packaging)
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
directory=${1:-$top/cmake/packaging}
spec=$directory/libagentsh-ebpf.spec
pkgbuild=$directory/PKGBUILD
version=$(sed -nE 's/^#define AGENTSH_EBPF_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' \
	"$top/include/agentsh/ebpf.h" | paste -sd .)
soversion=$(sed -nE 's/^set\(AGENTSH_EBPF_SOVERSION ([0-9]+)\)$/\1/p' "$top/cmake/AgentshVersion.cmake")
failed=0

# value FILE REGEX WANTED: what the group of the regular expression matches, in all lines
value() {
	local got
	got=$(sed -nE "s/$2/\\1/p" "$1")
	[ "$got" = "$3" ] && return 0
	echo "specs.sh: $1 has '$got' where '$3' is expected ($2)" >&2
	failed=1
}

value "$spec" '^Version: +(.*)$' "$version"
value "$spec" '^%global soversion (.*)$' "$soversion"
value "$spec" '^\* .* - ([^-]*)-1$' "$version"
value "$spec" '^- Release ([^;]*);.*$' "$version"
value "$spec" '^(# Untested).*$' '# Untested'
value "$pkgbuild" '^pkgver=(.*)$' "$version"
value "$pkgbuild" '^(# Untested).*$' '# Untested'

# The files of the packages must exist in the sources.
while read -r file; do
	[ -e "$top/$file" ] || {
		echo "specs.sh: $spec packages $file, which does not exist" >&2
		failed=1
	}
done < <(sed -nE 's/^%(license|doc) //p' "$spec" | tr ' ' '\n')

# makepkg sets and reads the variables that shellcheck cannot see.
shellcheck --shell=bash --exclude=SC2034,SC2154 "$pkgbuild" || failed=1
found=$(rpmlint --rpmlintrc "${spec%.spec}.rpmlintrc" "$spec" 2>&1) || failed=1
grep -qE '0 errors, 0 warnings' <<<"$found" || {
	echo "$found" >&2
	failed=1
}
exit $failed

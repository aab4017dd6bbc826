#!/usr/bin/env bash
# Links hosts that define functions with the same names as all internal functions and data
# of the static library, and checks that the library still uses its own. Checks the properties that
# the library gives to the whole host, too.
# Usage: collide.sh INCLUDE-DIRECTORY ARCHIVE ARCHIVE-OF-OBJECTS CC [LIBRARY...]
#   ARCHIVE-OF-OBJECTS has the internal names as global ones
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
include=$1
archive=$2
objects=$3
cc=$4
shift 4
export LC_ALL=C

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

names() {
	nm --defined-only --extern-only "$1" | awk 'NF == 3 { print $3 }' | sort -u
}
names "$archive" >"$work/public"
names "$objects" >"$work/all"
comm -13 "$work/public" "$work/all" >"$work/internal"
if [ "$(wc -l <"$work/internal")" -lt 100 ]; then
	echo "collide.sh: only $(wc -l <"$work/internal") internal names in $objects" >&2
	exit 1
fi
{
	echo '#include <stdlib.h>'
	sed 's/.*/void &(void);\nvoid &(void)\n{\n\tabort();\n}/' "$work/internal"
} >"$work/host.c"
"$cc" -c "$work/host.c" -o "$work/host.o"

# build OUTPUT ARCHIVE LIBRARY...
build() {
	"$cc" -I"$include" "$here/consumer/consumer.c" "$work/host.o" -o "$@" -lpthread
}
build "$work/host" "$archive" "$@"
"$work/host" >/dev/null

# What the archive's one object lacks or has beside code decides about the whole host.
if ! readelf -lW "$work/host" | grep 'GNU_STACK.* RW ' >/dev/null; then
	echo "collide.sh: a host with $archive wants an executable stack" >&2
	exit 1
fi
if readelf -SW "$archive" | grep build-id; then
	echo "collide.sh: $archive gives its build ID to hosts without one" >&2
	exit 1
fi

# The objects without local names must collide, or this test shows nothing.
if build "$work/plain" "$objects" "$@" 2>"$work/log"; then
	echo "collide.sh: a host also links with $objects" >&2
	exit 1
fi
grep -q 'multiple definition\|duplicate symbol' "$work/log" || {
	cat "$work/log" >&2
	exit 1
}

#!/usr/bin/env bash
# Checks that the header, the version map and the built library contain the same
# functions, and that the library and the archive export nothing else, neither data nor
# functions of libbpf.
# Usage: symbols.sh HEADER MAP LIBRARY ARCHIVE
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
header=$1
map=$2
library=$3
archive=$4
export LC_ALL=C

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# same A B: checks that the lists A and B contain the same lines
same() {
	if ! diff -u "$work/$1" "$work/$2" >"$work/diff"; then
		echo "symbols.sh: $1 (-) and $2 (+) differ:" >&2
		sed 1,2d "$work/diff" >&2
		failed=1
	fi
}

python3 "$here/header.py" functions "$header" | sort >"$work/header"
# Print "name@@NODE" for each name between "global:" and "local:" of a node.
awk '/\{/ { node = $1 } /global:/ { global = 1; next } /local:/ { global = 0 }
	global && NF { sub(/;/, "", $1); print $1 "@@" node }' "$map" | sort >"$work/map-with-node"
sed 's/@@.*//' "$work/map-with-node" >"$work/map"
# The only absolute symbols are the version nodes.
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sort >"$work/library"
nm -D --defined-only "$library" | awk '$2 == "T" { print $3 }' | sort >"$work/library-functions"

same header map
same map-with-node library
same library library-functions
if grep -vE '^agentsh_ebpf_[a-z0-9_]+@@AGENTSH_EBPF_[0-9]+\.[0-9]+$' "$work/library"; then
	echo "symbols.sh: these symbols are exported without the prefix or a version" >&2
	failed=1
fi

# The archive defines globally what the header declares, and nothing else.
nm --defined-only --extern-only "$archive" | awk 'NF == 3 { print $3 }' | sort >"$work/archive"
same header archive
exit $failed

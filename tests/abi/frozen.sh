#!/usr/bin/env bash
# Runs hosts that were built with frozen headers, one per released version, with this library: each
# is linked to a library that has the functions and symbol versions of that release and does
# nothing, and started with the library under test, as a host is after an upgrade of the library. As
# root, each also traces a connection, if this machine can trace.
# Usage: frozen.sh FROZEN-DIRECTORY LIBRARY-DIRECTORY PROBE-PROGRAM
#   PROBE-PROGRAM: agentsh-trace, which tells whether this machine can trace; -: none
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
frozen=$1
libraries=$2
probe=$3
cc=${CC:-cc}

work=$(mktemp -d)
cgroup=
cleanup() {
	[ -z "$cgroup" ] || rmdir "$cgroup"
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 143' HUP INT TERM

arguments=()
if [ "$(id -u)" -eq 0 ] && [ "$probe" != - ] && LD_LIBRARY_PATH=$libraries "$probe" --probe >"$work/probe"; then
	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	cgroup=$(mktemp -d "$mount/agentsh-frozen.XXXXXX")
	arguments=("$cgroup")
else
	echo "without a traced connection: not root, no command, or a machine that cannot trace"
fi

count=0
for header in "$frozen"/*/agentsh/ebpf.h; do
	version=$(basename "$(dirname "$(dirname "$header")")")
	build=$work/$version
	mkdir "$build"
	python3 "$here/header.py" stub "$header" >"$build/stub.c"
	"$cc" -fPIC -shared -w "-I$frozen/$version" \
		"-Wl,--version-script=$frozen/$version/libagentsh-ebpf.map" -Wl,-soname,libagentsh-ebpf.so.1 "$build/stub.c" -o "$build/libagentsh-ebpf.so"
	# a program that needs every function, so that it cannot start without one
	{
		printf '#include <agentsh/ebpf.h>\nextern void (*const functions[])(void);\n'
		printf 'void (*const functions[])(void) = {\n'
		python3 "$here/header.py" functions "$header" | sed 's/.*/\t(void (*)(void))&,/'
		printf '};\n'
	} >"$build/functions.c"
	"$cc" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror "-I$frozen/$version" "$frozen/host.c" \
		"$build/functions.c" -o "$build/host" "-L$build" -lagentsh-ebpf
	said=$(LD_LIBRARY_PATH=$libraries "$build/host" "${arguments[@]}") || {
		echo "frozen.sh: a host that was built with the header of $version does not work" >&2
		exit 1
	}
	echo "$said"
	[[ $said = "header $version, "* ]] || {
		echo "frozen.sh: $header is not the header of $version" >&2
		exit 1
	}
	count=$((count + 1))
done
[ "$count" -gt 0 ] || {
	echo "frozen.sh: no header in $frozen" >&2
	exit 1
}

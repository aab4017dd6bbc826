#!/usr/bin/env bash
# Compiles the header alone, and the layout of its structs, with each compiler and
# standard and without warnings. The header may include headers of the C library only.
# Usage: headers.sh INCLUDE-DIRECTORY
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
include=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# Including the header twice tests its include guard.
printf '#include <agentsh/ebpf.h>\n#include <agentsh/ebpf.h>\nconst char *(*version)(void) = agentsh_ebpf_version;\n' \
	>"$work/alone.c"

# try COMPILER LANGUAGE STANDARD
try() {
	local flags=(-x "$2" "-std=$3" -Wall -Wextra -Wpedantic -Wpadded -Wundef -Werror -I"$include")
	local c=(-Wstrict-prototypes) source

	[ "$2" = c ] || c=()
	for source in "$work/alone.c" "$here/layout.c"; do
		if ! "$1" "${flags[@]}" "${c[@]}" -c "$source" -o "$work/out.o"; then
			echo "headers.sh: $1 -std=$3 rejects ${source##*/}" >&2
			failed=1
		fi
	done
	"$1" "${flags[@]}" -M "$work/alone.c" >"$work/headers"
	if grep -oE '[^ ]*/(linux|asm|asm-generic|sys|bpf)/[^ ]*' "$work/headers" |
		grep -vE '/sys/cdefs\.h$'; then
		echo "headers.sh: with $1 -std=$3 the header includes more than headers of the C library" >&2
		failed=1
	fi
}

for compiler in gcc clang; do
	for standard in c99 c11 c17; do
		try $compiler c $standard
	done
done
for compiler in g++ clang++; do
	for standard in c++11 c++14 c++17 c++20; do
		try $compiler c++ $standard
	done
done

# Check that a wrong layout is detected.
sed 's/(agentsh_ebpf_event, kind, 0,/(agentsh_ebpf_event, kind, 8,/' "$here/layout.inc" >"$work/layout.inc"
cp "$here/layout.c" "$work/layout.c"
if gcc -fsyntax-only -I"$include" "$work/layout.c" 2>/dev/null; then
	echo "headers.sh: layout.c compiles with a wrong layout" >&2
	failed=1
fi
exit $failed

#!/usr/bin/env bash
# Writes the ABI of the library as text that is the same on every machine: the types
# that its functions use (abidw), and the values of the constants, which do not appear
# in any type.
# Usage: baseline.sh LIBRARY HEADER OUTPUT-DIRECTORY
#   writes libagentsh-ebpf.abi and constants.txt
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=$1
header=$2
output=$3
cc=${CC:-cc}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! readelf -SW "$library" | grep '\.debug_info' >/dev/null; then
	echo "baseline.sh: $library has no debug information; build it with -g" >&2
	exit 1
fi
include=$(cd "$(dirname "$header")/.." && pwd)
# Leave out paths, line numbers, the compiler and other libraries.
abidw --headers-dir "$include" --drop-private-types --drop-undefined-syms --exported-interfaces-only \
	--no-show-locs --no-comp-dir-path --no-corpus-path --no-architecture --no-elf-needed \
	--no-parameter-names --short-locs --type-id-style hash "$library" >"$work/abi"
# Compilers differ in the name of the language and in the type of an array index.
# The hashes that newer versions of abidw write depend on both.
sed -E -e "s/(<abi-instr [^>]*)language='[^']*'/\1language='LANG_C11'/" \
	-e "s/(<subrange [^>]*)type-id='[^']*' /\1/" -e "s/ hash='[^']*'//" "$work/abi" \
	>"$output/libagentsh-ebpf.abi"

{
	printf '#include <agentsh/ebpf.h>\n#include <stdio.h>\nint main(void)\n{\n'
	python3 "$here/header.py" constants "$header" |
		sed 's/.*/\tprintf("%s %lld\\n", "&", (long long)&);/'
	printf '\treturn 0;\n}\n'
} >"$work/constants.c"
"$cc" -I"$include" "$work/constants.c" -o "$work/constants"
"$work/constants" >"$output/constants.txt"

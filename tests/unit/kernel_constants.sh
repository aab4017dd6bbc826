#!/usr/bin/env bash
# Writes a header that asserts that the constants of bpf/constants.h equal those of the
# public header and of the system's. The preprocessor evaluates the constants.
# Usage: kernel_constants.sh COMPILER BPF-DIRECTORY OUTPUT
set -euo pipefail

compiler=$1
folder=$2
output=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$compiler" -E -dM -I"$folder" "$folder/constants.h" >"$work/macros"
sed -nE \
	-e 's/^#define AGENTSH_KIND_([A-Z0-9_]+) (.*)$/_Static_assert((\2) == AGENTSH_EBPF_EVENT_\1, "kind \1");/p' \
	-e 's/^#define AGENTSH_FLAG_([A-Z0-9_]+) (.*)$/_Static_assert((\2) == AGENTSH_EBPF_FLAG_\1, "flag \1");/p' \
	-e 's/^#define (AF_INET6?) (.*)$/_Static_assert((\2) == \1, "family \1");/p' \
	"$work/macros" | LC_ALL=C sort >"$work/asserts"

# Without this check an empty list would assert nothing and pass.
for what in kind flag family; do
	if ! grep -q "\"$what " "$work/asserts"; then
		echo "kernel_constants.sh: no $what in $folder/constants.h" >&2
		exit 1
	fi
done
cp "$work/asserts" "$output"

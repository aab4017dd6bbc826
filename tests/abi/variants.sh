#!/usr/bin/env bash
# Checks that gcc and clang, with and without optimisation, build the same ABI without
# warnings.
# Usage: variants.sh SOURCE-DIRECTORY BUILD-DIRECTORY
set -euo pipefail
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$1
root=$2
failed=0

for compiler in gcc clang; do
	for level in -O0 -O2; do
		build=$root/$compiler$level
		mkdir -p "$build"
		if ! {
			cmake -S "$top" -B "$build" -DCMAKE_C_COMPILER=$compiler -DCMAKE_BUILD_TYPE=None \
				-DCMAKE_C_FLAGS="-g $level" -DAGENTSH_EBPF_WERROR=ON &&
				cmake --build "$build" --parallel 2
		} >"$build/build.log" 2>&1; then
			tail -n 60 "$build/build.log" >&2
			echo "variants.sh: $compiler $level does not build" >&2
			failed=1
			continue
		fi
		if ! "$here/compare.sh" "$build/lib/libagentsh-ebpf.so" "$top/include/agentsh/ebpf.h"; then
			echo "variants.sh: $compiler $level builds a different ABI" >&2
			failed=1
		fi
	done
done
exit $failed

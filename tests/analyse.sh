#!/usr/bin/env bash
# Static analysis, no finding allowed: clang-tidy by .clang-tidy, cppcheck by
# tests/cppcheck.txt, gcc -fanalyzer. Usage: tests/analyse.sh [clang-tidy|cppcheck|gcc]...
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_ROOT:-$top/build}/analyse
[ $# -gt 0 ] || set -- clang-tidy cppcheck gcc
cd "$top"
mkdir -p "$build"

configure() { # DIR OPTION...
	local dir=$build/$1
	shift
	cmake -S "$top" -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE=Debug "$@" >"$build/configure.log" 2>&1 || {
		cat "$build/configure.log" >&2
		exit 1
	}
	echo "$dir"
}

run_clang_tidy() {
	local dir
	dir=$(configure clang -DCMAKE_C_COMPILER=clang -DAGENTSH_EBPF_TESTS=ON) || return 1
	cmake --build "$dir" >"$build/build.log" 2>&1 || { # for the generated headers
		cat "$build/build.log" >&2
		return 1
	}
	printf '%s\0' lib/*.c examples/*.c examples/agentsh-trace/*.c tests/fuzz/*.c |
		xargs -0 -P "$(nproc)" -n 4 clang-tidy -p "$dir" --quiet 2>/dev/null
}

run_cppcheck() {
	cppcheck --quiet --enable=warning,portability,performance --error-exitcode=1 \
		--std=c11 --inline-suppr --suppressions-list=tests/cppcheck.txt \
		-D_GNU_SOURCE -DAGENTSH_EBPF_WITH_UDP \
		'-DLIBBPF_OPTS(type,name,...)=struct type name = {__VA_ARGS__}' \
		-Iinclude -Ilib -Ibpf -Iexamples/agentsh-trace -Itests/fuzz -Itests/unit \
		lib examples tests/fuzz tests/unit/fail.c
}

run_gcc() {
	local dir
	dir=$(configure gcc -DCMAKE_C_COMPILER=gcc -DAGENTSH_EBPF_WERROR=ON -DCMAKE_C_FLAGS=-fanalyzer) ||
		return 1
	cmake --build "$dir" >"$build/build.log" 2>&1 || {
		cat "$build/build.log" >&2
		return 1
	}
}

failed=0
for tool in "$@"; do
	echo "== $tool"
	case $tool in
	clang-tidy) run_clang_tidy || failed=1 ;;
	cppcheck) run_cppcheck || failed=1 ;;
	gcc) run_gcc || failed=1 ;;
	*)
		echo "usage: $0 [clang-tidy|cppcheck|gcc]..." >&2
		exit 2
		;;
	esac
done
[ $failed -eq 0 ] || echo "tests/analyse.sh: FAILED" >&2
exit $failed

#!/usr/bin/env bash
# Static analysis without any finding allowed: clang-format by .clang-format, clang-tidy by
# .clang-tidy, cppcheck with tests/cppcheck.txt, gcc -fanalyzer.
# Usage: tests/analyse.sh [clang-format|clang-tidy|cppcheck|gcc]...
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=${BUILD_ROOT:-$top/build}
[ $# -gt 0 ] || set -- clang-format clang-tidy cppcheck gcc
cd "$top"

# build NAME OPTION...: below $root; prints the log if it fails
build() {
	local dir=$root/$1
	shift
	mkdir -p "$dir"
	{
		cmake -S "$top" -B "$dir" -G Ninja -DAGENTSH_EBPF_WERROR=ON "$@" && cmake --build "$dir"
	} >"$dir/build.log" 2>&1 || {
		tail -n 60 "$dir/build.log" >&2
		return 1
	}
}

# Another major version formats some lines differently.
format_version=14

run_clang_format() {
	local version
	version=$(clang-format --version | sed -nE 's/.*version ([0-9]+).*/\1/p')
	if [ "$version" != $format_version ]; then
		echo "left out: clang-format $version is installed, the sources are formatted by $format_version"
		[ -z "${STAGES_DIR:-}" ] || echo "clang-format (version $version, not $format_version)" >>"$STAGES_DIR/skipped"
		return 0
	fi
	# In a source tree without git all C files are ours, too.
	{ git ls-files -z -- '*.c' '*.h' 2>/dev/null ||
		find bpf examples include lib tests -name '*.[ch]' -print0; } |
		xargs -0 clang-format --dry-run -Werror
}

# The build of tests/run.sh for the thread sanitizer, in which clang compiles everything: it warns
# of other things than gcc does.
run_clang_tidy() {
	build threads -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DAGENTSH_EBPF_TESTS=ON \
		-DAGENTSH_EBPF_SANITIZE=thread || return 1
	find lib examples tests/fuzz -name '*.c' -print0 |
		xargs -0 -P "$(nproc)" -n 4 clang-tidy -p "$root/threads" --quiet 2>/dev/null
}

run_cppcheck() {
	cppcheck --quiet --enable=warning,portability,performance --error-exitcode=1 \
		--std=c11 --inline-suppr --suppressions-list=tests/cppcheck.txt -j "$(nproc)" \
		-D_GNU_SOURCE -DAGENTSH_EBPF_WITH_UDP \
		'-DLIBBPF_OPTS(type,name,...)=struct type name = {__VA_ARGS__}' \
		-Iinclude -Ilib -Ibpf -Iexamples/agentsh-trace -Itests/fuzz -Itests/unit \
		lib examples tests/fuzz tests/unit/fail.c
}

run_gcc() {
	build analyzer -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-fanalyzer
}

failed=0
for tool in "$@"; do
	echo "== $tool"
	case $tool in
	clang-format) run_clang_format || failed=1 ;;
	clang-tidy) run_clang_tidy || failed=1 ;;
	cppcheck) run_cppcheck || failed=1 ;;
	gcc) run_gcc || failed=1 ;;
	*)
		echo "usage: $0 [clang-format|clang-tidy|cppcheck|gcc]..." >&2
		exit 2
		;;
	esac
done
[ $failed -eq 0 ] || echo "tests/analyse.sh: FAILED" >&2
exit $failed

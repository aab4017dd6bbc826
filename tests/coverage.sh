#!/usr/bin/env bash
# Reports which lines of lib/ the tests run, file by file. As root, where all tests run, less than
# 90 % is a failure. The build has the sanitizers, too: it is that of tests/run.sh.
# Usage: tests/coverage.sh [ctest options]     builds, runs the tests and reports
#        tests/coverage.sh --report DIRECTORY  reports what ran in a build so far
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_ROOT:-$top/build}/memory
least=90

run_tests() {
	local labels=()
	[ "$(id -u)" -eq 0 ] || labels=(-LE live)
	mkdir -p "$build"
	if ! {
		cmake -S "$top" -B "$build" -G Ninja -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug \
			-DAGENTSH_EBPF_TESTS=ON -DAGENTSH_EBPF_WERROR=ON \
			-DAGENTSH_EBPF_SANITIZE=address,undefined -DAGENTSH_EBPF_COVERAGE=ON &&
			cmake --build "$build"
	} >"$build/build.log" 2>&1; then
		tail -n 60 "$build/build.log" >&2
		exit 1
	fi
	find "$build" -name '*.gcda' -delete
	ctest --test-dir "$build" --output-on-failure \
		-R '^(unit|live|fuzz)-' "${labels[@]}" "$@" >"$build/ctest.log" 2>&1 || {
		tail -n 60 "$build/ctest.log" >&2
		exit 1
	}
}

if [ "${1:-}" = --report ]; then
	build=$2
else
	run_tests "$@"
fi

cd "$build"
find lib -name '*.gcda' -print0 | xargs -0 gcov -n -s "$top" -r 2>/dev/null |
	awk -v least="$least" -v root="$(id -u)" '
	/^File / { file = $2; gsub("\047", "", file) }
	/^Lines executed:/ && file ~ /^lib\/.*\.c$/ {
		split($0, part, /[:% ]+/)
		lines = part[5]; percent = part[3]
		printf "%-28s %6.1f %% of %4d lines\n", file, percent, lines
		ran += percent * lines / 100; all += lines
		file = ""
	}
	END {
		if (!all) { print "no line was counted"; exit 1 }
		printf "lib/ %.1f %% of %d lines\n", 100 * ran / all, all
		exit root == 0 && 100 * ran / all < least
	}'

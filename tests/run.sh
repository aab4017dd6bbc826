#!/usr/bin/env bash
# Builds the library in each way that its users build it and runs the tests; as root, the live
# tests, too. docs/TESTING.md explains which stage finds what.
#
# Usage: tests/run.sh [--quick | --vm | -R NAME...] [ctest options]
#   (no option)  all tests, static analysis, sanitizers, valgrind and coverage
#   --quick      one build, the unit tests and about a minute of live tests
#   -R NAME      one build and the tests whose name matches, as ctest -R; likewise for -E, -L, -LE
#   --vm         also the live tests in virtual machines, as .ci/run
#
# BUILD_ROOT=DIR is the place of the builds (default: build/, or build-USER if not root).
# FAILING_SAMPLES=N is how many calls of each operation live-failing makes fail (default: 100);
# 0: all.
# Exit status: 0 all ran and passed, 77 what ran has passed but the live tests need root, anything
# else a failure.
# shellcheck disable=SC2317 # stage calls the functions
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/stages.sh
. "$top/tests/stages.sh"

usage() {
	sed -n '2,/^# else a failure/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
	exit "$1"
}

mode=full vm=0 options=()
for argument; do
	case $argument in
	--quick) mode=quick ;;
	--vm) vm=1 ;;
	-h | --help) usage 0 ;;
	*)
		case $argument in
		-R* | -E* | -L* | --tests-regex* | --exclude-regex* | --label-regex* | --label-exclude*)
			[ "$mode" = quick ] || mode=some
			;;
		esac
		options+=("$argument")
		;;
	esac
done
if [ "$vm" -eq 1 ] && [ "$mode" != full ]; then
	usage 2 >&2
fi

root=${BUILD_ROOT:-$top/build}
live=1
if [ "$(id -u)" -ne 0 ]; then
	live=0
	# This user may not write to root's build directory.
	[ -n "${BUILD_ROOT:-}" ] || root=$top/build-$(id -un)
fi
mkdir -p "$root"
BUILD_ROOT=$(cd "$root" && pwd) # absolute, for the scripts called here
root=$BUILD_ROOT
export BUILD_ROOT

stages_begin "$root/stages"

# build DIR OPTION... [-- TARGET...]: configures and compiles, quietly unless it fails
build() {
	local dir=$root/$1 configure=() targets=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		configure+=("$1")
		shift
	done
	[ $# -lt 2 ] || targets=(--target "${@:2}")
	mkdir -p "$dir"
	if ! {
		cmake -S "$top" -B "$dir" -G Ninja -DAGENTSH_EBPF_WERROR=ON "${configure[@]}" &&
			cmake --build "$dir" "${targets[@]}"
	} >"$dir/build.log" 2>&1; then
		tail -n 60 "$dir/build.log" >&2
		echo "build failed: $dir" >&2
		return 1
	fi
	echo "built: $dir"
}

tools() {
	"$top/cmake/deps.sh" test || return 1
	[ "$mode" != full ] || "$top/cmake/deps.sh" full || [ "$live" -eq 0 ] || return 1
	[ "$vm" -eq 0 ] || "$top/cmake/deps.sh" vm
}

build_main() {
	build main -DAGENTSH_EBPF_TESTS=ON
}

finish() {
	if [ "$stages_failed" -ne 0 ]; then
		echo "tests/run.sh: FAILED" >&2
		exit 1
	fi
	if [ "$live" -eq 0 ] && [ "$1" -ne 0 ]; then
		echo "tests/run.sh: left out, because they need root: the live tests (label live)" >&2
		exit 77
	fi
	exit 0
}

# A run of the tests in one build: the library as users build it, by gcc.
stage tools 900 tools || finish 0
stage build 900 build_main || finish 0

# ---- some tests -------------------------------------------------------------

if [ "$mode" = some ]; then
	stage tests 3600 run_ctest "$root/main" "${options[@]}" || true
	skipped=0
	[ ! -s "$stages_dir/skipped" ] || skipped=1
	finish "$skipped"
fi

# Tests of more than a few seconds that are left out of --quick.
slow='^live-(connection_closed|connection_failed|connection_odd|moderation|stuck|fairness|probe_.*'
slow+='|coverage|failing|late|old_resource)$|^cli-|^bench-|^model-'

if [ "$mode" = quick ]; then
	stage 'unit tests' 300 run_ctest "$root/main" -j2 -L unit -E "$slow" "${options[@]}" || true
	[ "$live" -eq 0 ] ||
		stage 'live tests' 300 run_ctest "$root/main" -L live -E "$slow" "${options[@]}" || true
	finish 1
fi

# ---- all --------------------------------------------------------------------

# Leaves the processors to the virtual machines, in which tests have deadlines.
calmly() {
	[ "$vm" -eq 0 ] || renice -n 10 "$BASHPID" >/dev/null
	"$@"
}

# gcc has both sanitizers and gcov, so that one run finds memory errors and counts lines.
build_others() {
	build memory -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug -DAGENTSH_EBPF_TESTS=ON \
		-DAGENTSH_EBPF_SANITIZE=address,undefined -DAGENTSH_EBPF_COVERAGE=ON || return 1
	build command -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DAGENTSH_EBPF_TESTS=ON \
		-DAGENTSH_EBPF_SANITIZE=address,undefined -- lib/all examples/all || return 1
	build threads -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DAGENTSH_EBPF_TESTS=ON \
		-DAGENTSH_EBPF_SANITIZE=thread || return 1
	build no-udp -DAGENTSH_EBPF_UDP=OFF -DAGENTSH_EBPF_EXAMPLES=OFF -DAGENTSH_EBPF_TESTS=ON -- \
		lib/all test-unit-arguments test-live-no_udp
}

failing_calls() {
	FAILING_SAMPLES=${FAILING_SAMPLES:-100} run_ctest "$root/main" -R '^live-failing$' "${options[@]}"
}

# Left out: unit-internal, whose loops take minutes under valgrind. Capabilities are dropped, because
# with them the probe would load its programs each time. The sanitizers see both.
under_valgrind() {
	local test failed=0
	# fairly: otherwise a thread that polls can keep all other threads from running
	local valgrind=(valgrind --quiet --error-exitcode=9 --leak-check=no --fair-sched=yes
		"--suppressions=$top/tests/valgrind.supp")
	[ "$live" -eq 0 ] || valgrind=(setpriv --bounding-set "-all,+dac_override" --inh-caps -all "${valgrind[@]}")
	for test in "$root"/main/tests/unit/test-unit-*; do
		case ${test##*-} in
		internal) continue ;;
		proc) continue ;; # in /proc the program of each process is valgrind
		esac
		"${valgrind[@]}" "$test" >"$root/valgrind.log" 2>&1 || {
			cat "$root/valgrind.log"
			echo "under valgrind: FAILED: $test"
			failed=1
		}
	done
	return "$failed"
}

# Tests that start threads, by the name of their source file.
threaded_tests() {
	local names
	names=$(cd "$top/tests" && grep -l pthread_create unit/test_*.c live/test_*.c |
		sed -E 's,/test_,-,; s,\.c$,,' | paste -sd '|')
	echo "^($names)\$"
}

unprivileged=()
[ "$live" -eq 1 ] || unprivileged=(-LE live)

sanitized() {
	local failed=0
	find "$root/memory" -name '*.gcda' -delete
	run_ctest "$root/memory" -j2 -L unit -E '^model-' "${options[@]}" || failed=1
	# Timing alone is of no interest here; neither is what runs without the library.
	[ "$live" -eq 0 ] || run_ctest "$root/memory" -L live -E '^live-(fairness|stuck)$|^bench-|^cli-' \
		"${options[@]}" || failed=1
	# The command runs as other users, too, for whom gcov prints errors on stderr: no counters here.
	[ "$live" -eq 0 ] || run_ctest "$root/command" -R '^cli-(command|outcomes|parent|probe)$' "${options[@]}" ||
		failed=1
	return "$failed"
}

threads() {
	run_ctest "$root/threads" -R "$(threaded_tests)" "${unprivileged[@]}" "${options[@]}"
}

no_udp() {
	run_ctest "$root/no-udp" -R '^(unit-arguments|live-no_udp)$' "${unprivileged[@]}" "${options[@]}"
}

# beside_ctest SCRIPT: runs a test script that is not in ctest; with status 77 it has printed what it
# left out and why
beside_ctest() {
	local status=0
	"$top/$1" >"$root/${1//\//-}.log" 2>&1 || status=$?
	cat "$root/${1//\//-}.log"
	if [ "$status" -ne 77 ]; then
		[ "$status" -eq 0 ] || tail -n 20 "$root/${1//\//-}.log" >>"$stages_dir/failures"
		return "$status"
	fi
	[ "$live" -eq 0 ] || echo "$1 ($(sed -n 's/^.*skipped: //p' "$root/${1//\//-}.log" | head -n 1))" >>"$stages_dir/skipped"
}

unit_tests() {
	run_ctest "$root/main" -j2 -L unit -E '^model-' "${options[@]}"
}

live_tests() {
	run_ctest "$root/main" -j2 -L live -E '^live-failing$' "${options[@]}"
}

[ "$vm" -eq 0 ] || stage_beside 'virtual machines' 3000 "$top/tests/vm/run.sh" --ci

# What has no deadline runs beside the virtual machines.
if stage 'other builds' 1800 calmly build_others; then others=1; else others=0; fi
stage_beside 'model of the wake-ups' 900 calmly run_ctest "$root/main" -R '^model-' "${options[@]}"
[ "$live" -eq 0 ] || stage_beside 'failing calls' 1800 calmly failing_calls
stage 'static analysis' 1800 calmly "$top/tests/analyse.sh" || true
stage 'ABI and installation' 1800 calmly run_ctest "$root/main" -L abi "${options[@]}" || true
[ "$live" -eq 0 ] || stage_beside 'Debian packages' 1800 calmly beside_ctest tests/packages/run.sh
stage 'musl, fully static' 1200 calmly beside_ctest tests/musl/run.sh || true
stage Go 1200 calmly beside_ctest tests/go/run.sh || true # after musl, which it uses
stage Rust 900 calmly beside_ctest tests/rust/run.sh || true
stage valgrind 900 calmly under_valgrind || true
stages_join

if [ "$others" -eq 1 ]; then
	stage_beside 'threads (TSan)' 1200 threads
	stage 'memory (ASan, UBSan)' 1800 sanitized || true
	stages_join
	stage coverage 120 "$top/tests/coverage.sh" --report "$root/memory" || true
	stage 'build without UDP' 120 no_udp || true
fi

# Alone on the machine, as their deadlines expect.
stage 'unit tests' 600 unit_tests || true
[ "$live" -eq 0 ] || stage 'live tests' 1800 live_tests || true
finish 1

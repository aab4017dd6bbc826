#!/usr/bin/env bash
# Builds the library in each way that users build it and runs the tests; as root
# the live ones too. Exit status: 0 all ran and passed, 77 passed but the live
# tests were left out (not root), anything else a failure.
# Usage: tests/run.sh [ctest options]; BUILD_ROOT=DIR for another place than build/.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=${BUILD_ROOT:-$top/build}
live=1
if [ "$(id -u)" -ne 0 ]; then
	live=0
	# root's build directory is not ours to write to
	[ -n "${BUILD_ROOT:-}" ] || root=$top/build-$(id -un)
fi
mkdir -p "$root"
BUILD_ROOT=$(cd "$root" && pwd) # for what is called here, which may look at it from elsewhere
root=$BUILD_ROOT
export BUILD_ROOT

"$top/cmake/deps.sh" test

# build DIR OPTION...: configure and compile, quietly unless it fails
build() {
	local dir=$root/$1
	shift
	mkdir -p "$dir"
	if ! {
		cmake -S "$top" -B "$dir" -G Ninja -DAGENTSH_EBPF_WERROR=ON "$@" &&
			cmake --build "$dir"
	} >"$dir/build.log" 2>&1; then
		tail -n 60 "$dir/build.log" >&2
		echo "build failed: $dir" >&2
		exit 1
	fi
	echo "built: $dir"
}

# run DIR OPTION...: ctest; remembers a failure and goes on
failed=0
run() {
	local dir=$root/$1
	shift
	# A second try, which ctest reports: other load may outlast a test's deadline.
	ctest --test-dir "$dir" --output-on-failure --repeat until-pass:2 "$@" || failed=1
}

options=("$@")
labels=()
[ $live -eq 1 ] || labels=(-LE live)

# Options must not rot.
build no-udp -DAGENTSH_EBPF_UDP=OFF -DAGENTSH_EBPF_EXAMPLES=OFF

# sanitized DIR SANITIZERS OPTION...: the suite once more
sanitized() {
	local dir=$1 sanitizers=$2
	shift 2
	build "$dir" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DAGENTSH_EBPF_TESTS=ON \
		"-DAGENTSH_EBPF_SANITIZE=$sanitizers"
	echo "== tests with -fsanitize=$sanitizers"
	run "$dir" "${labels[@]}" "$@" "${options[@]}"
}

echo "== static analysis"
"$top/tests/analyse.sh" || failed=1

build clang -DCMAKE_C_COMPILER=clang -DAGENTSH_EBPF_TESTS=ON
sanitized asan address,undefined
# Less those of the command and of the model, which have one thread.
sanitized tsan thread -E '^(cli-.*|model-.*|bench-smoke)$'

build main -DAGENTSH_EBPF_TESTS=ON
echo "== all tests, with every call of the library made to fail"
FAILING_SAMPLES=0 run main "${labels[@]}" "${options[@]}"

# Less the four whose loops take minutes there, and without the capabilities with which
# the probe's programs would be loaded each time; the sanitizers have seen those.
echo "== unit tests under valgrind"
valgrind=(valgrind --quiet --error-exitcode=9 --leak-check=no "--suppressions=$top/tests/valgrind.supp")
[ $live -eq 0 ] || valgrind=(setpriv --bounding-set "-all,+dac_override" --inh-caps -all "${valgrind[@]}")
for test in "$root"/main/tests/unit/test-unit-*; do
	case ${test##*-} in
	decode | internal | loss | roundtrip) continue ;;
	esac
	"${valgrind[@]}" "$test" >"$root/valgrind.log" 2>&1 || {
		cat "$root/valgrind.log" >&2
		echo "under valgrind: FAILED: $test" >&2
		failed=1
	}
done

echo "== coverage"
"$top/tests/coverage.sh" || failed=1

if [ $failed -ne 0 ]; then
	echo "tests/run.sh: FAILED" >&2
	exit 1
fi
if [ $live -eq 0 ]; then
	echo "tests/run.sh: left out, because they need root: the live tests (label live)" >&2
	exit 77
fi

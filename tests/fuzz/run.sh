#!/usr/bin/env bash
# Fuzzes one target, or all of them in turn, for SECONDS each, from the committed corpus
# and the inputs that earlier runs found. The exit status is 1 if a target failed; the
# input that made it fail is then in BUILD_ROOT/fuzz/found/.
# Usage: tests/fuzz/run.sh TARGET|all SECONDS [libFuzzer options]
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD_ROOT:-$top/build}/fuzz
all=(record mountinfo environment options command_line output dns_message first_data name_text stream rules rules_text)
target=${1:-}
seconds=${2:-}
if [[ " all ${all[*]} " != *" $target "* ]] || [[ ! $seconds =~ ^[0-9]+$ ]] || [ -z "$target" ]; then
	echo "usage: $0 all|$(IFS='|' && echo "${all[*]}") SECONDS [libFuzzer options]" >&2
	exit 2
fi
shift 2
[ "$target" = all ] || all=("$target")

mkdir -p "$build/found"
if ! {
	cmake -S "$top" -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DAGENTSH_EBPF_TESTS=ON -DAGENTSH_EBPF_FUZZ=ON &&
		cmake --build "$build" --target "${all[@]/#/fuzz-}"
} >"$build/build.log" 2>&1; then
	tail -n 60 "$build/build.log" >&2
	exit 1
fi

failed=0
for name in "${all[@]}"; do
	mkdir -p "$build/corpus/$name"
	echo "== $name, $seconds s"
	"$build/tests/fuzz/fuzz-$name" -max_total_time="$seconds" -print_final_stats=1 -timeout=20 \
		-artifact_prefix="$build/found/$name-" "$@" \
		"$build/corpus/$name" "$top/tests/fuzz/corpus/$name" >"$build/$name.log" 2>&1 || failed=1
	grep -E 'cov: |^stat::number_of_executed|^stat::average_exec|ERROR|does not hold|SUMMARY' \
		"$build/$name.log" | tail -n 6
done
exit $failed

#!/usr/bin/env bash
# Measures what the library costs, compared with the least that does the same. Prints a table, and
# writes JSON with --json FILE. Needs root; takes less than 30 minutes. --help lists the options.
# BUILD_ROOT=DIR is the place of the build (default: build/). BENCH=FILE is an agentsh-bench that
# has already been built. Exit status 1: something could not be measured.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
dir=${BUILD_ROOT:-$top/build}/bench

for arg in "$@"; do
	if [ "$arg" = --cgroup ] || [ "${arg#--cgroup=}" != "$arg" ]; then
		echo "bench: --cgroup is set by this script" >&2
		exit 2
	fi
done

bench=${BENCH:-$dir/tests/bench/agentsh-bench}
if [ -z "${BENCH:-}" ]; then
	"$top/cmake/deps.sh" test
	mkdir -p "$dir"
fi
if [ -z "${BENCH:-}" ] && ! {
	cmake -S "$top" -B "$dir" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAGENTSH_EBPF_TESTS=ON \
		-DAGENTSH_EBPF_EXAMPLES=OFF &&
		cmake --build "$dir" --target agentsh-bench
} >"$dir/build.log" 2>&1; then
	tail -n 40 "$dir/build.log" >&2
	echo "bench: build failed: $dir" >&2
	exit 1
fi

# Builds the Go program that is compared with --peers, with the cilium/ebpf package of the
# distribution, so that no network is needed.
peer_args=()
build_go_peer() {
	local out source=$here/peers/main.go
	out=$(cd "$(dirname "$bench")" && pwd)/peer-go
	if ! command -v go >/dev/null; then
		peer_args=(--peer-no-go "no Go compiler (packages golang-go, golang-github-cilium-ebpf-dev)")
	elif ! GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode GOCACHE=$out.cache \
		go build -o "$out" "$source" 2>"$out.log"; then
		peer_args=(--peer-no-go "it does not build: $(tail -n 1 "$out.log")")
	else
		peer_args=(--peer-go "$out" --peer-object "$(dirname "$out")/minimal.bpf.o")
	fi
}

case " $* " in
*" --help "*)
	echo "Usage: tests/bench/run.sh [options]"
	exec "$bench" --help
	;;
esac
if [ "$(id -u)" -ne 0 ]; then
	echo "bench: needs root: it loads kernel programs and makes cgroups" >&2
	exit 1
fi

case " $* " in
*" --peers "* | *" peers "* | *" --scenario=peers "*) build_go_peer ;;
esac

# The mount point of cgroup v2; mountinfo writes a space as \040.
mount=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-") { if ($(i + 1) == "cgroup2") print $5; break } }' \
	/proc/self/mountinfo | head -n 1)
mount=$(printf '%b' "${mount//\\/\\0}")
if [ -z "$mount" ]; then
	echo "bench: no cgroup v2 is mounted (mountinfo)" >&2
	exit 1
fi

cgroup=$mount/agentsh-bench-$$
child=

# Ends the processes in the cgroup, then removes the directories, deepest first.
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	trap - EXIT INT TERM HUP
	if [ -n "$child" ]; then
		kill -KILL "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	fi
	for _ in $(seq 50); do
		for pid in $(cat "$cgroup"/cgroup.procs "$cgroup"/*/cgroup.procs 2>/dev/null || true); do
			kill -KILL "$pid" 2>/dev/null || true
		done
		find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[ -d "$cgroup" ] || return 0
		sleep 0.1
	done
	echo "bench: left behind: $cgroup" >&2
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

mkdir "$cgroup"
# In the background, because bash runs a trap only after a command in the foreground has ended.
"$bench" --cgroup "$cgroup" "${peer_args[@]}" "$@" &
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"

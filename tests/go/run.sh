#!/usr/bin/env bash
# Checks and tests the Go module in examples/go with the installed library: linked dynamically,
# from the archive, fully static, and with musl if tests/musl/run.sh has built for it.
#
# Usage: tests/go/run.sh
#
# BUILD_ROOT=DIR  place of the builds, as in tests/run.sh: takes the library from DIR/main, or
#                 builds it in DIR/go/library, and writes all else below DIR/go
# Exit status: 0 everything passed, 77 left out for the reason that is printed, anything else a
# failure. On a machine that can trace, a test that is left out is a failure.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
root=${BUILD_ROOT:-$top/build}
if [ -z "${BUILD_ROOT:-}" ] && [ "$(id -u)" -ne 0 ]; then
	root=$top/build-$(id -un) # as tests/run.sh
fi
mkdir -p "$root/go"
root=$(cd "$root" && pwd)
work=$root/go
prefix=$work/prefix
musl=$root/musl/prefix/lib/pkgconfig
command=./cmd/agentsh-trace-go

fail() {
	echo "tests/go/run.sh: $*" >&2
	exit 1
}

leave_out() {
	echo "skipped: $*" >&2
	exit 77
}

# Prints the first Go that is new enough. It never downloads another.
find_go() {
	local candidate version
	for candidate in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
		[ -x "$candidate" ] || continue
		version=$("$candidate" env GOVERSION) || continue
		if [[ $version =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 23 ]; then
			echo "$candidate"
			return
		fi
	done
	return 1
}

install_library() {
	local build=$root/main
	if [ ! -e "$build/lib/libagentsh-ebpf.a" ] || [ ! -e "$build/lib/libagentsh-ebpf.so" ]; then
		build=$work/library
		cmake -S "$top" -B "$build" -G Ninja -DAGENTSH_EBPF_WERROR=ON
		cmake --build "$build"
	fi
	rm -rf "$prefix"
	cmake --install "$build" --prefix "$prefix"
}

# go_test NAME ARGUMENT...: runs "go test -v"; the log has all output.
go_test() {
	local name=$1 log
	shift
	log=$work/$(tr -c 'a-z0-9\n' - <<<"$name").log
	if ! go test -count=1 -v "$@" >"$log" 2>&1; then
		grep -v '^=== \|^ *--- PASS' "$log" >&2 || true
		fail "failed: $name (go test $*)"
	fi
	grep -q '^--- PASS' "$log" || fail "no test ran: $name"
	if grep -q -- '--- SKIP' "$log"; then
		grep -A 1 -- '--- SKIP\|can.*trace' "$log" >&2
		[ "$can_trace" = 0 ] || fail "a test was left out, although this machine can trace: $name"
	fi
	echo "passed: $name, $(grep -c '^--- PASS' "$log") tests, $(grep -c '^--- SKIP' "$log" || true) left out"
}

# The program needs no other file at run time.
expect_static() {
	local elf
	elf=$(LC_ALL=C readelf -l -d "$1")
	if grep -E 'INTERP|NEEDED' <<<"$elf" >&2; then
		fail "$1 is not fully static"
	fi
}

needs_library() { # PROGRAM
	LC_ALL=C readelf -d "$1" | grep -q 'NEEDED.*libagentsh-ebpf\.so'
}

# The traced command connects to its own socket. Its output stays apart from that of the program,
# which may write at the same time.
trace() { # PROGRAM
	local port
	[ "$can_trace" = 1 ] || return 0
	port=$("$1" python3 -c '
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
print(server.getsockname()[1])' 2>"$work/trace.txt") || fail "$1 fails: $(cat "$work/trace.txt")"
	grep -q " connected tcp 127\.0\.0\.1:$port\$" "$work/trace.txt" ||
		fail "$1 does not report the connection: $(cat "$work/trace.txt")"
}

check_source() {
	local unformatted
	unformatted=$(gofmt -l .)
	[ -z "$unformatted" ] || fail "gofmt changes: $unformatted"
	[ ! -e go.sum ] || fail "the module has dependencies"
	go vet ./...
	echo "passed: gofmt and go vet"
}

test_dynamic() {
	go_test "shared library" ./...
	go build -o "$work/trace-shared" "$command"
	needs_library "$work/trace-shared" || fail "the default build does not use the shared library"
	trace "$work/trace-shared"
}

# What the sanitizer of C pointers in Go memory and the race detector find.
test_checked() {
	go_test "race detector" -race ./...
	GOEXPERIMENT=cgocheck2 go_test "cgocheck2" -short ./agentshebpf
}

test_archive() {
	local library
	local missing=()
	go build -tags agentshebpf_static -o "$work/trace-archive" "$command"
	! needs_library "$work/trace-archive" || fail "the build with agentshebpf_static uses the shared library"
	trace "$work/trace-archive"
	for library in $(pkg-config --static --libs-only-l agentsh-ebpf-static); do
		[[ $library != -l:* ]] || continue # ours
		library=lib${library#-l}.a
		# The compiler prints a path if it finds the file, else only the name.
		[ "$("${CC:-gcc}" -print-file-name="$library")" != "$library" ] || missing+=("$library")
	done
	if [ "${#missing[@]}" -gt 0 ]; then
		echo "left out: a fully static build, because these archives are missing: ${missing[*]}" >&2
		return
	fi
	static_build "fully static"
}

# static_build NAME: tests, and the command, without any shared library
static_build() {
	local options=(-tags 'agentshebpf_static,netgo,osusergo' -ldflags '-linkmode external -extldflags -static')
	local program
	program=$work/trace-$(tr -c 'a-z0-9\n' - <<<"$1")
	go build "${options[@]}" -o "$program" "$command"
	expect_static "$program"
	trace "$program"
	go_test "$1" "${options[@]}" ./...
}

test_musl() {
	if [ ! -e "$musl/agentsh-ebpf-static.pc" ] || ! command -v musl-gcc >/dev/null; then
		echo "left out: musl, because $musl has no library (tests/musl/run.sh builds it)" >&2
		return
	fi
	CC=musl-gcc PKG_CONFIG_LIBDIR=$musl PKG_CONFIG_PATH='' static_build "musl"
}

# Builds without the C library compile and say so.
test_stub() {
	local os
	CGO_ENABLED=0 go vet ./...
	CGO_ENABLED=0 go_test "without cgo" ./...
	CGO_ENABLED=0 go build -o "$work/trace-stub" "$command"
	! "$work/trace-stub" true 2>"$work/stub.txt" || fail "a command without the library succeeds"
	grep -q 'built without libagentsh-ebpf' "$work/stub.txt" || fail "$(cat "$work/stub.txt")"
	for os in darwin windows; do
		GOOS=$os CGO_ENABLED=0 go build ./...
	done
	echo "passed: builds for darwin and windows"
}

benchmark() {
	go test -run '^$' -bench . -benchtime 2000x ./agentshebpf >"$work/bench.txt" ||
		fail "the benchmarks failed: $(cat "$work/bench.txt")"
	grep '^Benchmark' "$work/bench.txt"
}

go_binary=$(find_go) || leave_out "there is no Go of version 1.23 or later"
PATH=$(dirname "$go_binary"):$PATH
command -v "${CC:-gcc}" >/dev/null || leave_out "there is no C compiler for cgo"
command -v pkg-config >/dev/null || leave_out "there is no pkg-config"
# Nothing of the user's configuration, and nothing from the network.
export GOENV=off GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-buildvcs=false GOWORK=off CGO_ENABLED=1
export GOCACHE=$work/cache GOPATH=$work/path GOTMPDIR=$work/tmp
unset GOEXPERIMENT GOOS GOARCH
unset AGENTSH_EBPF AGENTSH_EBPF_SIMULATE_MISSING
mkdir -p "$GOTMPDIR"
go version

install_library >"$work/library.log" 2>&1 || {
	tail -n 40 "$work/library.log" >&2
	fail "the library cannot be built and installed"
}
pc=$(find "$prefix" -name agentsh-ebpf-static.pc)
[ -n "$pc" ] || fail "agentsh-ebpf-static.pc is not installed"
PKG_CONFIG_PATH=$(dirname "$pc")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
can_trace=0
if [ "$(id -u)" -eq 0 ] && "$prefix/bin/agentsh-trace" --probe >"$work/probe.txt" 2>&1; then
	can_trace=1
fi

cd "$top/examples/go"
check_source
test_dynamic
test_checked
test_archive
test_musl
test_stub
benchmark

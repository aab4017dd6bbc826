#!/usr/bin/env bash
# Tests the crates in examples/rust with the installed library, shared and static; as root, the live
# tests, too.
#
# BUILD_ROOT=DIR is the place of the builds (default: build/). The library of DIR/main is used; if
# there is none, it is built.
# Exit status: 0 passed; 77 skipped or in part left out, with the reason; anything else a failure.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
root=${BUILD_ROOT:-$top/build}
mkdir -p "$root/rust"
root=$(cd "$root" && pwd)
unset RUSTFLAGS LD_LIBRARY_PATH AGENTSH_EBPF AGENTSH_EBPF_SIMULATE_MISSING
export CARGO_TARGET_DIR=$root/rust/target CARGO_NET_OFFLINE=true PYTHONDONTWRITEBYTECODE=1

skip() {
	echo "skipped: $*"
	exit 77
}

fail() {
	echo "tests/rust/run.sh: $*" >&2
	exit 1
}

for tool in rustc cargo pkg-config cc python3; do
	command -v "$tool" >/dev/null || skip "$tool is not installed"
done
minor=$(rustc --version | sed -nE 's/^rustc 1\.([0-9]+)\..*/\1/p')
[ "${minor:-0}" -ge 63 ] || skip "$(rustc --version): the crates need rustc 1.63"

header=$top/include/agentsh/ebpf.h
python3 "$top/tests/rust/abi.py" check "$header" cc || fail "the crate differs from the header"
python3 "$top/tests/rust/abi.py" self-test "$header" cc || fail "abi.py does not find differences"

build=$root/main
if [ ! -e "$build/lib/libagentsh-ebpf.so" ]; then
	build=$root/rust/library
	{
		cmake -S "$top" -B "$build" -G Ninja -DAGENTSH_EBPF_EXAMPLES=OFF && cmake --build "$build"
	} >"$root/rust/library.log" 2>&1 || fail "the library was not built: $(tail -n 20 "$root/rust/library.log")"
fi
prefix=$root/rust/prefix
rm -rf "$prefix"
cmake --install "$build" --prefix "$prefix" >"$root/rust/install.log" || fail "cmake --install fails"
pc=$(find "$prefix" -name agentsh-ebpf.pc)
[ -n "$pc" ] || fail "agentsh-ebpf.pc was not installed"
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
lib=$(pkg-config --variable=libdir agentsh-ebpf)
lib=$(cd "$lib" && pwd)

cd "$top/examples/rust"
if cargo fmt --version >/dev/null 2>&1; then
	cargo fmt --check || fail "cargo fmt --check"
else
	echo "left out: cargo fmt is not installed"
fi
if cargo clippy --version >/dev/null 2>&1; then
	cargo clippy --offline --locked --quiet --all-targets -- -D warnings || fail "cargo clippy"
else
	echo "left out: cargo clippy is not installed"
fi

live=1
tests=()
if [ "$(id -u)" -ne 0 ]; then
	live=0
	tests=(--lib --test synthetic --test names --test rules --test layout)
fi

# needs PROGRAM: whether the dynamic linker loads the shared library for the program
needs() {
	local libraries
	libraries=$(ldd "$1")
	[[ $libraries = *libagentsh-ebpf* ]]
}

# run NAME CARGO-OPTION...: tests and the example, linked in one way
run() {
	local name=$1 program status=0
	shift
	echo "== $name"
	cargo test --offline --locked "$@" "${tests[@]}" || fail "cargo test ($name)"
	cargo build --offline --locked --quiet --example trace "$@" || fail "cargo build ($name)"
	program=$CARGO_TARGET_DIR/debug/examples/trace
	if [ "$name" = shared ]; then
		needs "$program" || fail "$program does not use the shared library"
	else
		! needs "$program" || fail "$program uses the shared library"
	fi
	# without a cgroup, any user gets one line that says what is wrong
	"$program" / >"$root/rust/out" 2>"$root/rust/err" || status=$?
	if [ "$status" -ne 1 ] || [ -s "$root/rust/out" ] || [ "$(wc -l <"$root/rust/err")" -ne 1 ]; then
		fail "$program / ends with status $status and prints: $(cat "$root/rust/out" "$root/rust/err")"
	fi
}

LD_LIBRARY_PATH=$lib run shared
pkg-config --exists agentsh-ebpf-static || fail "agentsh-ebpf-static.pc was not installed"
run static --features agentsh-ebpf/static

if [ "$live" -eq 0 ]; then
	skip "the live tests need root; the others have passed"
fi

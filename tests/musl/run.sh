#!/usr/bin/env bash
# Builds the library, the command and tests with musl, fully static, installs them, and runs them.
#
# Usage: tests/musl/run.sh [--prefix]
#   --prefix  only builds and installs, and prints the directory of the installation. The libraries
#             that ours needs are in it, too. With PKG_CONFIG_LIBDIR=DIRECTORY/lib/pkgconfig and
#             CC=musl-gcc, programs are built with it.
#
# BUILD_ROOT=DIR  place of the builds, as in tests/run.sh: builds in DIR/musl, installs in
#                 DIR/musl/prefix. libraries.sh has further variables.
# Exit status: 0 everything passed, 77 left out for the reason that is printed, anything else a
# failure. Without root the live tests are left out.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
root=${BUILD_ROOT:-$top/build}
if [ -z "${BUILD_ROOT:-}" ] && [ "$(id -u)" -ne 0 ]; then
	root=$top/build-$(id -un) # as tests/run.sh
fi
mkdir -p "$root/musl"
build=$(cd "$root/musl" && pwd)
prefix=$build/prefix
live=(event session datagram loss)

prefix_only=0
case ${1:-} in
'') ;;
--prefix) prefix_only=1 ;;
*)
	sed -n '2,/^# failure/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac

if ! command -v musl-gcc >/dev/null; then
	echo "skipped: musl-gcc is not installed (package musl-tools)" >&2
	exit 77
fi
if ! command -v apt-get >/dev/null; then
	echo "skipped: the libraries for musl are built from Debian's sources, and this machine has no apt-get" >&2
	exit 77
fi

fail() {
	echo "tests/musl/run.sh: $*" >&2
	exit 1
}

# quietly COMMAND...: shows the log if the command fails
quietly() {
	if ! "$@" >>"$build/build.log" 2>&1; then
		tail -n 60 "$build/build.log" >&2
		fail "failed: $*"
	fi
}

options=(-G Ninja "-DCMAKE_TOOLCHAIN_FILE=$here/toolchain.cmake" "-DMUSL_PREFIX=$prefix"
	"-DCMAKE_INSTALL_PREFIX=$prefix" -DAGENTSH_EBPF_SHARED=OFF -DAGENTSH_EBPF_WERROR=ON
	# A warning of the linker must fail also in the next run, which does not link again.
	"-DCMAKE_EXE_LINKER_FLAGS=-static -Wl,--fatal-warnings")

# The libraries are copied, so that one directory has everything that a program needs.
build_all() {
	local libraries
	libraries=$("$here/libraries.sh")
	rm -rf "$prefix"
	cp -a "$libraries" "$prefix"
	: >"$build/build.log"
	quietly cmake -S "$top" -B "$build" "${options[@]}" -DAGENTSH_EBPF_TESTS=ON
	quietly cmake --build "$build" --target lib/all examples/all docs/all tests/unit/all \
		"${live[@]/#/test-live-}"
	quietly cmake --install "$build"
	expect_no_warnings
}

# Not every warning is an error: objcopy and ar have some, too.
expect_no_warnings() {
	if grep -i 'warning:' "$build/build.log" >&2; then
		fail "the build has warnings"
	fi
}

# Without an interpreter and needed libraries, the program runs on any distribution.
expect_static() {
	local program elf
	for program; do
		elf=$(LC_ALL=C readelf -l -d "$program")
		if grep -E 'INTERP|NEEDED' <<<"$elf" >&2; then
			fail "$program is not fully static"
		fi
	done
}

# The program of the README, built as a user builds it, and a program that runs without privilege.
build_as_user() {
	local program flags
	flags=$(PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig PKG_CONFIG_PATH='' \
		pkg-config --static --cflags --libs agentsh-ebpf-static)
	[[ $flags != *-[IL]/usr/* ]] || fail "files of the system are used: $flags"
	read -r -a flags <<<"$flags"
	for program in minimal host_test; do
		quietly musl-gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -static \
			-o "$build/user-$program" "$top/examples/$program.c" "${flags[@]}"
		expect_static "$build/user-$program"
	done
	quietly "$build/user-host_test"
	echo "passed: programs built through pkg-config"
}

# The source archive builds with musl-gcc and the libraries alone: neither clang nor bpftool is looked for.
build_from_archive() {
	local source=$build/from-archive
	if ! { [ -e "$top/.git" ] && command -v git >/dev/null; } && [ ! -e "$top/MANIFEST" ]; then
		echo "left out: the source archive: without git or the file MANIFEST, the list of the source files is unknown"
		return
	fi
	rm -rf "$source"
	mkdir "$source"
	rm -f "$build"/agentsh-ebpf-*.tar.gz # also those of other versions
	quietly cmake --build "$build" --target dist
	tar -xzf "$build"/agentsh-ebpf-*.tar.gz -C "$source" --strip-components=1
	quietly cmake -S "$source" -B "$source/build" "${options[@]}" -DAGENTSH_EBPF_TESTS=OFF
	if grep -E '^AGENTSH_(CLANG|BPFTOOL)' "$source/build/CMakeCache.txt" >&2; then
		fail "the source archive wants clang or bpftool"
	fi
	quietly cmake --build "$source/build" --target lib/all agentsh-trace
	expect_static "$source/build/examples/agentsh-trace"
	quietly "$source/build/examples/agentsh-trace" --version
	echo "passed: built from the source archive without clang and bpftool"
}

# The installed command traces a connection from a loopback address to itself.
trace_connection() {
	local trace=$build/trace.json output port expect
	rm -f "$trace"
	output=$("$prefix/bin/agentsh-trace" --json --output "$trace" --ebpf=required -- python3 -c '
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
print(server.getsockname()[1])')
	port=$output
	expect="\"type\":\"net_connect\".*\"dst_ip\":\"127.0.0.1\",\"dst_port\":$port,"
	grep -q "$expect" "$trace" || {
		cat "$trace" >&2
		fail "the trace does not contain $expect"
	}
	"$prefix/bin/agentsh-trace" --probe >"$build/probe.txt" || {
		cat "$build/probe.txt" >&2
		fail "agentsh-trace --probe failed"
	}
	echo "passed: agentsh-trace shows a connection to port $port, and the probe works"
}

if [ "$prefix_only" -eq 1 ]; then
	build_all >&2
	echo "$prefix"
	exit 0
fi

build_all
echo "built and installed with $(tr '\n' ' ' <"$prefix/sources")in $prefix"
expect_static "$prefix/bin/agentsh-trace" "$build"/tests/unit/test-unit-* "$build"/tests/live/test-live-*
[[ $(file -b "$prefix/bin/agentsh-trace") == *"statically linked"* ]] ||
	fail "$(file "$prefix/bin/agentsh-trace")"
echo "passed: agentsh-trace and $(find "$build/tests" -type f -name 'test-*' -perm -u+x | wc -l) test programs are fully static"
build_as_user
build_from_archive
expect_no_warnings
# With capabilities unit-probe would load the eBPF programs many times.
unprivileged=()
[ "$(id -u)" -ne 0 ] || unprivileged=(setpriv --bounding-set "-all,+dac_override" --inh-caps -all)
"${unprivileged[@]}" ctest --test-dir "$build" --output-on-failure --no-tests=error -j 2 -R '^unit-'
if [ "$(id -u)" -ne 0 ]; then
	echo "skipped: the live tests need root; what ran has passed" >&2
	exit 77
fi
names=$(IFS='|' && echo "${live[*]}")
ctest --test-dir "$build" --output-on-failure --no-tests=error -R "^live-($names)\$"
trace_connection

#!/usr/bin/env bash
# Demonstrates agentsh-trace: builds it, starts a small server on the loopback interface,
# traces a curl and a UDP datagram to this server, and cleans up. It leaves behind only
# build/quickstart and the packages that it had to install.
# Usage: sudo examples/quickstart.sh; set BUILD_ROOT=DIR to build elsewhere than in build/.
set -euo pipefail

top=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
root=${BUILD_ROOT:-$top/build}
dir=$root/quickstart

step() { printf '\n==> %s\n' "$*"; }
die() {
	printf 'quickstart: %s\n' "$*" >&2
	exit 1
}

server='' work=''
# shellcheck disable=SC2329 # called by the trap
cleanup() {
	trap '' HUP INT TERM # a signal must not interrupt the cleanup
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	[ -z "$work" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Attaching programs to a cgroup and installing packages take root.
[ "$(id -u)" -eq 0 ] || die "needs root: run it with sudo, or in a root shell"
[ "$(uname -s)" = Linux ] || die "needs Linux"

# build: prints output only if it fails, and gives the files to the owner of the sources
build() {
	local new=$dir status=0
	while [ ! -e "$(dirname "$new")" ]; do new=$(dirname "$new"); done
	mkdir -p "$dir"
	{
		cmake -S "$top" -B "$dir" -G Ninja &&
			cmake --build "$dir" --target agentsh-trace quickstart_server
	} >"$dir/build.log" 2>&1 || status=$?
	chown -R --reference="$top" "$new"
	if [ $status -ne 0 ]; then
		tail -n 30 "$dir/build.log" >&2
		die "the build failed; the complete output is in $dir/build.log"
	fi
}

if [ -e "$dir/examples/agentsh-trace" ]; then
	step "Build in $dir"
else
	step "Build in $dir and install the packages this needs (once, takes a few minutes at most)"
fi
"$top/cmake/deps.sh" build
build
trace=$dir/examples/agentsh-trace

work=$(mktemp -d)
: >"$work/ports" # exists before the background process opens it
"$dir/examples/quickstart_server" >"$work/ports" &
server=$!
until grep -q udp "$work/ports"; do
	kill -0 "$server" 2>/dev/null || die "the server did not start"
	sleep 0.02
done
read -r _ tcp _ udp <"$work/ports"

step "Trace curl http://127.0.0.1:$tcp/ and a DNS query over UDP to 127.0.0.1:$udp"
status=0
# shellcheck disable=SC2016 # expanded by the inner shell
"$trace" --ebpf=required -- sh -c '
	curl -q --noproxy "*" --silent --show-error --fail --output /dev/null "http://127.0.0.1:$1/" &&
		exec "$0" --send-udp "$2"' "$dir/examples/quickstart_server" "$tcp" "$udp" || status=$?
case $status in
0) ;;
125) die "this kernel or container does not allow tracing; the line above says why" ;;
*) exit $status ;; # the program that failed has printed the reason
esac

step "Your turn"
cat <<END
sudo $trace -- COMMAND
    shows the connections of any command; --json writes JSON, --help lists all options
sudo $top/tests/run.sh
    runs all tests on the running kernel
END

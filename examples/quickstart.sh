#!/usr/bin/env bash
# Shows agentsh-trace at work: builds it, starts a small server on the loopback
# interface, traces a curl to it and a UDP datagram, and cleans up. The only
# lasting traces are build/quickstart and the packages that were missing.
# Usage: sudo examples/quickstart.sh; BUILD_ROOT=DIR for another place than build/.
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
	trap '' HUP INT TERM # once begun, to its end
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

# The kernel lets only root attach programs to a cgroup, and only it installs packages.
[ "$(id -u)" -eq 0 ] || die "needs root: run it with sudo, or in a root shell"
[ "$(uname -s)" = Linux ] || die "needs Linux"

# build: quietly, unless it fails; what it makes belongs to the owner of the sources
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
		die "the build failed; all of it is in $dir/build.log"
	fi
}

if [ -e "$dir/examples/agentsh-trace" ]; then
	step "Build in $dir"
else
	step "Build in $dir, after installing what that needs (once; some minutes at most)"
fi
"$top/cmake/deps.sh" build
build
trace=$dir/examples/agentsh-trace

work=$(mktemp -d)
"$dir/examples/quickstart_server" >"$work/ports" &
server=$!
until grep -q udp "$work/ports"; do
	kill -0 "$server" 2>/dev/null || die "the server did not start"
	sleep 0.02
done
read -r _ tcp _ udp <"$work/ports"

step "Trace curl http://127.0.0.1:$tcp/, and a DNS query by UDP to 127.0.0.1:$udp"
status=0
# shellcheck disable=SC2016 # for the inner shell
"$trace" --ebpf=required -- sh -c '
	curl -q --noproxy "*" --silent --show-error --fail --output /dev/null "http://127.0.0.1:$1/" &&
		exec "$0" --send-udp "$2"' "$dir/examples/quickstart_server" "$tcp" "$udp" || status=$?
case $status in
0) ;;
125) die "this kernel or container does not allow tracing; the line above says why" ;;
*) exit $status ;; # the failing program has said what is wrong
esac

step "Your turn"
cat <<END
sudo $trace -- COMMAND
    shows the connections of any command; --json for programs, --help for more
sudo $top/tests/run.sh
    runs all tests on this kernel
END

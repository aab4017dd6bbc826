#!/usr/bin/env bash
# Runs examples/quickstart.sh twice, interrupts it once, and runs it where it must fail.
# Usage: quickstart.sh EXAMPLES/QUICKSTART.SH BUILD-DIRECTORY; exit status 77: skipped, not root.
set -euo pipefail

quickstart=$1
if [ "$(id -u)" -ne 0 ]; then
	echo "skipped: needs root"
	exit 77
fi
work=$(mktemp -d "$2/quickstart.XXXXXX")
pid=''
# shellcheck disable=SC2329 # called by the trap
cleanup() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 143' HUP INT TERM

export BUILD_ROOT=$work/root TMPDIR=$work/tmp
mkdir "$work/tmp" "$work/empty"
cgroups=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
failures=0
fail() {
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# check_leftovers: every process of the quick start runs a program from its build directory
check_leftovers() {
	local exe
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe" 2>/dev/null) in
		"$BUILD_ROOT"/*) fail "still running: $exe $(tr '\0' ' ' <"${exe%exe}cmdline")" ;;
		esac
	done
	[ -z "$(ls -A "$TMPDIR")" ] || fail "temporary files: $(ls -A "$TMPDIR")"
	[ -z "$(ls -A "$work/empty")" ] || fail "files in the current directory: $(ls -A "$work/empty")"
	# cgroups are named agentsh-trace.PID.N; look for those whose process is gone
	local path owner
	while read -r path; do
		owner=${path##*/agentsh-trace.}
		[ -d "/proc/${owner%%.*}" ] || [ ! -d "$path" ] || fail "cgroup: $path"
	done < <(find "$cgroups" -type d -name 'agentsh-trace.*' 2>/dev/null)
}

run() {
	echo "== $1"
	(cd "$work/empty" && exec "${@:2}") >"$work/log" 2>&1 || fail "status $?"
	cat "$work/log"
	for event in connect connected closed; do
		grep -qE " curl +$event +tcp +127\\.0\\.0\\.1:[0-9]+( |\$)" "$work/log" || fail "no $event of curl"
	done
	for event in udp_send closed; do
		grep -qE " quickstart_serv +$event +udp +127\\.0\\.0\\.1:[0-9]+( |\$)" "$work/log" || fail "no $event of UDP"
	done
	grep -qE '^5 events, 2 destinations, 0 lost; 1 connection opened, 0 failed' "$work/log" || fail "no summary"
	check_leftovers
}

run "the first time" "$quickstart"
built=$(stat -c %Y "$BUILD_ROOT/quickstart/examples/agentsh-trace")
run "the second time" "$quickstart"
[ "$(stat -c %Y "$BUILD_ROOT/quickstart/examples/agentsh-trace")" = "$built" ] ||
	fail "the second run built agentsh-trace again"
[ "$(stat -c %u "$BUILD_ROOT/quickstart")" = "$(stat -c %u "$(dirname "$quickstart")")" ] ||
	fail "the build does not belong to the owner of the sources"

echo "== interrupted while it traces"
# a curl that never ends, first in PATH
mkdir "$work/bin"
printf '#!/bin/sh\n: >"%s"\nexec sleep 1000\n' "$work/stuck" >"$work/bin/curl"
chmod +x "$work/bin/curl"
cat >"$work/ctrl-c" <<'END'
import os, pty, sys, time
pid, fd = pty.fork()
if not pid:
    os.execv(sys.argv[1], sys.argv[1:2])
while not os.path.exists(sys.argv[2]) and not os.waitpid(pid, os.WNOHANG)[0]:
    time.sleep(0.02)
os.write(fd, b"\x03")
try:
    while os.read(fd, 4096):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
status=0
(cd "$work/empty" && PATH=$work/bin:$PATH exec python3 "$work/ctrl-c" "$quickstart" "$work/stuck") || status=$?
[ $status -eq 130 ] || fail "status $status, not 130"
check_leftovers

echo "== without the capabilities for tracing"
status=0
(cd "$work/empty" && exec setpriv --bounding-set=-bpf,-net_admin,-sys_admin "$quickstart") >"$work/log" 2>&1 || status=$?
[ $status -eq 1 ] || fail "status $status, not 1"
cat "$work/log"
grep -q CAP_BPF "$work/log" || fail "the reason is missing"
check_leftovers

echo "== not root"
status=0
setpriv --reuid=65534 --regid=65534 --clear-groups bash <"$quickstart" >"$work/log" 2>&1 || status=$?
[ $status -eq 1 ] || fail "status $status, not 1"
grep -q "needs root" "$work/log" || fail "the reason is missing: $(cat "$work/log")"

[ $failures -eq 0 ] || exit 1

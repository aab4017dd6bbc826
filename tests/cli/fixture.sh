# shellcheck shell=bash
# Shared by the tests in this directory: a temporary directory, a cgroup for the traces,
# and checks that count failures. Sets here, work, root, parent, started and failures.
# Exit status 77: skipped, not root.
# shellcheck disable=SC2034

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deadline=60 # seconds until an expected condition counts as a failure
unset NO_COLOR AGENTSH_EBPF AGENTSH_EBPF_SIMULATE_MISSING
export LC_ALL=C.UTF-8 TERM=xterm PYTHONDONTWRITEBYTECODE=1
# The UNIX sockets that a traced python3 connects to shall be those of the test alone.  Without HOME,
# Python looks up its user, by the socket of nscd; so does a shell script that starts Python.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
PATH=$(python3 -c 'import os, sys; print(os.path.dirname(sys.executable))'):$PATH

if [ "$(id -u)" -ne 0 ]; then
	echo "skipped: needs root"
	exit 77
fi

work=$(mktemp -d)
root=$(awk '{ for (i = 6; i <= NF; i++) if ($i == "-") { if ($(i + 1) == "cgroup2") print $5; break } }' \
	/proc/self/mountinfo | head -n 1)
parent=$root/agentsh-test-cli.$$ # the parent of most cgroups that the tests make
mkdir "$parent"
started=()

# shellcheck disable=SC2329 # called by the trap
cleanup() {
	local pid tries=0
	set +e
	for pid in "${started[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	# After a failure, processes may still be running in these cgroups.
	find "$parent" -name cgroup.procs -exec cat {} + | while read -r pid; do
		kill -KILL "$pid"
	done
	until find "$parent" -depth -type d -exec rmdir {} + 2>/dev/null || [ $((++tries)) -gt 200 ]; do
		sleep 0.05
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

failures=0 what=
fail() {
	echo "FAILED: $what: $*"
	failures=$((failures + 1))
}

# begin TEXT: names the checks that follow
begin() {
	what=$1
	echo "$SECONDS s: $what"
}

# expect STATUS COMMAND...: runs the command with stdout in $work/out and stderr in $work/err
expect() {
	local want=$1 got=0
	shift
	"$@" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" -eq "$want" ] || fail "status $got, not $want: $* ($(head -c 2000 "$work/err"))"
}

# split OPTION... -- ARGUMENT...: sets options and arguments
split() {
	options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	arguments=("${@:2}")
}

says() { grep -qF -- "$1" "${2:-$work/err}" || fail "no '$1' in: $(cat "${2:-$work/err}")"; }
silent() { [ ! -s "$1" ] || fail "not empty: $(cat "$1")"; }

# wait_for COMMAND...: repeats the command until it succeeds
wait_for() {
	local end=$((SECONDS + deadline))
	until "$@" 2>/dev/null; do
		if [ $SECONDS -ge $end ]; then
			fail "never came true: $*"
			return 0
		fi
		sleep 0.01
	done
}

# background COMMAND...: starts the command and sets $pid
background() {
	"$@" 2>"$work/err" >"$work/out" &
	pid=$!
	started+=("$pid")
}

# ends STATUS: the command in the background ends with this status
ends() {
	local got=0
	wait "$pid" || got=$?
	[ "$got" -eq "$1" ] || fail "status $got, not $1 ($(cat "$work/err"))"
}

# checked MODULE FUNCTION ARGUMENT...: runs a check in the process that checks.py started;
# what the check prints is in $work/checked
checked() {
	local status
	if [ -z "${requests:-}" ]; then
		fail "start_checks was not called"
		return 1
	fi
	printf '%s\0' $# "$@" >&"$requests"
	read -r -u "$replies" status
	return "$status"
}

start_checks() {
	mkfifo "$work/requests" "$work/replies"
	(cd "$here" && exec python3 checks.py "$work/checked") <"$work/requests" >"$work/replies" &
	started+=($!)
	exec {requests}>"$work/requests" {replies}<"$work/replies"
}

# removed: no cgroup of a trace is left below $parent
removed() {
	local left
	left=$(find "$parent" -mindepth 1 -type d)
	[ -z "$left" ] || fail "left behind: $left"
}

# finish: prints the number of failures and sets the exit status of the script
finish() {
	removed
	echo "$SECONDS s: $failures failed"
	[ $failures -eq 0 ] || exit 1
}

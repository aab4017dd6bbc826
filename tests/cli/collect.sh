#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sends traces through the two configurations of rsyslog in examples/collect: each line arrives
# once, in order and complete, also if the collector was away and if rsyslog was restarted.
# Usage: collect.sh AGENTSH-TRACE DIRECTORY-OF-THE-CONFIGURATIONS; exit status 77: skipped.
set -euo pipefail

trace=$1 configurations=$2
if ! command -v rsyslogd >/dev/null; then
	echo "skipped: rsyslogd is not installed (package rsyslog)"
	exit 77
fi
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"
start_checks

port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$work/log" "$work/machine" "$work/collector"
for role in machine collector; do
	sed -e "s#/var/log/agentsh#$work/log#; s#\"5170\"#\"$port\"#" \
		-e 's#collector\.example#127.0.0.1#; s#0\.0\.0\.0#127.0.0.1#; s#resumeInterval="10"#resumeInterval="1"#' \
		"$configurations/rsyslog-$role.conf" >"$work/$role/agentsh.conf"
	printf 'global(workDirectory="%s")\ninclude(file="%s")\n' "$work/$role" "$work/$role/agentsh.conf" \
		>"$work/$role/rsyslog.conf"
done

# run ROLE: starts rsyslogd and sets the variable ROLE to its process id
run() {
	rsyslogd -n -f "$work/$1/rsyslog.conf" -i "$work/$1/pid" >>"$work/$1/output" 2>&1 &
	declare -g "$1=$!"
	started+=($!)
}
# stop ROLE: ends rsyslogd, and waits until it has saved its state
stop() {
	kill "${!1}"
	wait "${!1}" || fail "rsyslogd ended with status $? ($(cat "$work/$1/output"))"
}

# trace NUMBER: a trace with difficult names and a long line
make_trace() {
	# More than a line of the default size of rsyslog; each byte takes six in JSON.
	# shellcheck disable=SC2016 # expanded by the inner shell
	"$trace" --json --output "$work/log/trace-$1.jsonl" sh -c \
		'python3 "$0" names; python3 "$0" sockets 200; exec python3 "$0" sockets 1 "$1"' \
		"$here/traffic.py" "$(printf '\001%.0s' {1..3000})" || fail "trace $1"
}

arrived() { checked collect_check arrived "$work/log/machines.jsonl" "$work/log"/trace-*.jsonl; }
# all: all lines have arrived, exactly once
all() {
	wait_for arrived
	arrived || fail "$(cat "$work/checked")"
}

begin "rsyslogd accepts the configurations"
for role in machine collector; do
	expect 0 rsyslogd -N1 -f "$work/$role/rsyslog.conf"
	! grep -iE 'error|warn' "$work/err" || fail "complaints about $role"
done

begin "each line arrives"
run collector
run machine
make_trace 1
all

begin "lines that are written while the collector is away arrive later"
stop collector
make_trace 2
run collector
all

begin "lines that are written while rsyslog is restarted arrive, and none arrives twice"
stop machine
make_trace 3
run machine
all
stop machine
stop collector
all
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs examples/session_host.c on the real kernel: what it says of its session, what becomes of
# the command without a session, and that its counters add up.
# Usage: session_host.sh SESSION_HOST; exit status 77: skipped, not root.
set -euo pipefail

program=$(realpath "$1")
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"
start_checks
# The host makes its cgroup below its own one, which is $parent.
# shellcheck disable=SC2016 # expanded by the inner shell
host=(sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$parent" "$program")
check() { checked session_host_check "$@" || fail "$*: $(cat "$work/checked")"; }

# no_cgroup: the host has removed its cgroup
no_cgroup() { [ -z "$(find "$parent" -name 'session-host.*')" ] || fail "a cgroup is left behind"; }

# in_background COMMAND...: starts the host, and sets $pid and $cgroup
in_background() {
	background "$@"
	cgroup=
	wait_for found
}
found() {
	cgroup=$(find "$parent" -name "session-host.$pid")
	[ -n "$cgroup" ]
}

client=(python3 "$here/session_host_check.py" client)

begin "attached: each call of the command has a line"
expect 0 "${host[@]}" "${client[@]}" 10 5
check lines "$work/err" 10 5 "$parent"
no_cgroup
expect 3 "${host[@]}" sh -c 'exit 3'
expect 143 "${host[@]}" sh -c 'kill $$'
expect 127 "${host[@]}" agentsh-no-such-command
expect 2 "${host[@]}"
says "usage: "

begin "attached, without clone3: the command enters the cgroup itself"
expect 0 python3 "$here/traffic.py" seccomp "$(command -v "${host[0]}")" "${host[@]:1}" "${client[@]}" 10 5
check lines "$work/err" 10 5 "$parent"

begin "the counters add up to what the command did"
expect 0 "${host[@]}" --metrics "${client[@]}" 10 5
check counters "$work/out" "$work/err" 15
expect 0 "${host[@]}" --metrics="$work/metrics.prom" "${client[@]}" 20 100000
check counters "$work/metrics.prom" "$work/err" 100020
silent "$work/out"
[ "$(find "$work" -name 'metrics*')" = "$work/metrics.prom" ] || fail "a temporary file is left behind"

begin "--names: the domain that the process asked for"
# In a network namespace, for a name server on port 53.
# shellcheck disable=SC2016 # expanded by the inner shell
expect 0 unshare -n sh -ec 'ip link set lo up
	setpriv --pdeathsig KILL python3 "$1" serve "$2" 53 &
	server=$!
	trap "kill $server" EXIT
	until [ -e "$2" ]; do kill -0 $server; sleep 0.05; done
	read -r dns tcp <"$2"
	names=$1; shift 2
	"$@" --names python3 "$names" client "$dns" "$tcp" ask=api.example.org connect=127.0.0.7 connect=127.0.0.6' \
	sh "$here/names_traffic.py" "$work/ports" "${host[@]}"
check domains "$work/err"
no_cgroup

begin "unavailable: auto runs the command behind the proxy, required does not run it"
missing=(env AGENTSH_EBPF_SIMULATE_MISSING=cap_bpf)
# shellcheck disable=SC2016 # expanded by the inner shell
command=(sh -c 'echo "ran $http_proxy $https_proxy"; exit 3')
for mode in '' auto; do
	expect 3 "${missing[@]}" AGENTSH_EBPF=$mode "${host[@]}" --proxy=http://127.0.0.1:1 "${command[@]}"
	says 'ran http://127.0.0.1:1 http://127.0.0.1:1' "$work/out"
	check one "$work/err" ebpf_unavailable reason "CAP_BPF is missing"
done
expect 125 "${missing[@]}" AGENTSH_EBPF=required "${host[@]}" --metrics --proxy=http://127.0.0.1:1 "${command[@]}"
check one "$work/err" ebpf_unavailable reason "CAP_BPF is missing"
check host_counters "$work/out" 1 0
no_cgroup
expect 0 "${missing[@]}" "${host[@]}" --metrics="$work/metrics.prom" true
check host_counters "$work/metrics.prom" 1 0

begin "the attached command is not sent to the proxy; off says nothing and sends it there"
expect 3 "${host[@]}" --proxy=http://127.0.0.1:1 "${command[@]}"
[ "$(cat "$work/out")" = "ran  " ] || fail "$(cat "$work/out")"
expect 3 env AGENTSH_EBPF=off "${host[@]}" --proxy=http://127.0.0.1:1 "${command[@]}"
says 'ran http://127.0.0.1:1 http://127.0.0.1:1' "$work/out"
silent "$work/err"
expect 125 env AGENTSH_EBPF=maybe "${host[@]}" "${command[@]}"
says "AGENTSH_EBPF is 'maybe'"
silent "$work/out"
no_cgroup

begin "a program of somebody else is not displaced: attaching fails"
mkdir "$parent/firewall"
python3 "$here/firewall.py" "$parent/firewall"
# shellcheck disable=SC2016 # expanded by the inner shell
inside=(sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$parent/firewall" "$program")
expect 3 "${inside[@]}" --proxy=http://127.0.0.1:1 "${command[@]}"
says 'ran http://127.0.0.1:1' "$work/out"
check one "$work/err" ebpf_attach_failed error "would displace"
expect 125 env AGENTSH_EBPF=required "${inside[@]}" --metrics "${command[@]}"
check host_counters "$work/out" 0 1
check library_counter "$work/out" agentsh_ebpf_attach_failures_total 1
rmdir "$parent/firewall"
no_cgroup

begin "a background process outlives the command, and is traced until it ends"
mkfifo "$work/go"
# shellcheck disable=SC2016 # expanded by the inner shell
in_background "${host[@]}" --metrics="$work/metrics.prom" sh -c \
	'("$@" 1 0 </dev/null; read -r go <"$0"; "$@" 2 0) & exit 5' "$work/go" "${client[@]}"
wait_for checked session_host_check library_counter "$work/metrics.prom" agentsh_ebpf_delivered_total 1
# The command has ended, and the host has not waited for it yet.
ended() { [ "$(ps -o stat= --ppid "$pid" | cut -c1)" = Z ]; }
wait_for ended
check library_counter "$work/metrics.prom" agentsh_ebpf_sessions 1
echo go >"$work/go"
ends 5
check lines "$work/err" 3 0 "$parent"
check library_counter "$work/metrics.prom" agentsh_ebpf_sessions 0
check library_counter "$work/metrics.prom" agentsh_ebpf_session_delivered_total 3
no_cgroup

begin "a host that does not read loses events, and counts them"
# shellcheck disable=SC2016 # expanded by the inner shell
in_background "${host[@]}" --metrics sh -c 'read -r go <"$0"; "$@" 3000 0' "$work/go" "${client[@]}"
exec {go}>"$work/go" # waits until the command has opened it
kill -STOP "$pid"
echo go >&"$go"
exec {go}>&-
wait_for ended
kill -CONT "$pid"
ends 0
check lossy "$work/out" "$work/err" 3000
no_cgroup

begin "an untraced background process is waited for, too"
# shellcheck disable=SC2016 # expanded by the inner shell
in_background env AGENTSH_EBPF=off "${host[@]}" sh -c 'read -r go <"$0" & exit 5' "$work/go"
wait_for ended
[ -d "$cgroup" ] || fail "the cgroup is gone"
echo go >"$work/go"
ends 5
no_cgroup

begin "SIGTERM kills all processes of the session"
in_background "${host[@]}" sh -c 'sleep 1000 & sleep 1000'
two_run() { [ "$(wc -l <"$cgroup/cgroup.procs")" -ge 3 ]; }
wait_for two_run
kill "$pid"
ends 137
no_cgroup

begin "a command that leaves its cgroup is waited for"
# shellcheck disable=SC2016 # expanded by the inner shell
expect 4 "${host[@]}" sh -c 'echo 0 >"$0/cgroup.procs"; sleep 0.2; exit 4' "$root"
no_cgroup

begin "without a cgroup v2 the command does not run"
# shellcheck disable=SC2016 # expanded by the inner shell
expect 125 unshare -m sh -c 'mount -t tmpfs none "$0" && exec "$@"' "$root" "$program" echo ran
says "No such device"
silent "$work/out"

begin "promtool accepts the counters and the alerts"
if command -v promtool >/dev/null; then
	expect 0 "${host[@]}" --metrics="$work/metrics.prom" true
	expect 0 promtool check metrics <"$work/metrics.prom"
	expect 0 promtool check rules "$here/../../examples/collect/alerts.yml"
else
	echo "promtool is not installed (package prometheus): only this test's own parser reads them"
fi

begin "the commands of the guide"
check commands "$(dirname "$program")"

finish

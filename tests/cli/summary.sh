#!/usr/bin/env bash
# Runs agentsh-trace on the real kernel and checks the summary by destination.
# Usage: summary.sh AGENTSH-TRACE; exit status 77: skipped, not root.
set -euo pipefail

trace=$1
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

traffic=(python3 "$here/summary_traffic.py")
start_checks
check() { checked summary_check "check_$1" "${@:2}" || fail "summary_check.py $*: $(cat "$work/checked")"; }
t=("$trace" --ebpf=required --cgroup-parent "$parent")

# serve COMMAND...: starts a server outside the traced cgroup and sets $port
serve() {
	rm -f "$work/port"
	setpriv --pdeathsig KILL "$@" &
	started+=($!)
	wait_for test -e "$work/port"
	port=$(cat "$work/port")
}

serve python3 "$here/outcomes_traffic.py" serve "$work/port" "$work/served"
tcp=$port
serve "${traffic[@]}" echo "$work/port"
udp=$port
says=$work/says

# traced OPTION... -- ARGUMENT...: traces summary_traffic.py with these arguments and the file SAYS
traced() {
	split "$@"
	rm -f "$says"
	expect 0 "${t[@]}" "${options[@]}" -- "${traffic[@]}" "${arguments[@]}" "$says"
}

begin "--summary --json: connections, failures and bytes"
traced --summary --json -o "$work/json" -- client "$tcp" "$udp"
check json "$work/json" "$says"
silent "$work/err"
begin "--summary: only the table and the last line"
traced --summary -- client "$tcp" "$udp"
check table "$work/err" "$says" yes
says "15 events, 3 destinations, 0 lost; 3 connections opened, 1 failed, 0 still open"
begin "a trace with several connections ends with the table"
traced -- client "$tcp" "$udp"
check table "$work/err" "$says" no
begin "a trace with one connection does not"
expect 0 "${t[@]}" -- python3 "$here/outcomes_traffic.py" abandon "$tcp"
! grep -q PROCESS "$work/err" || fail "$(cat "$work/err")"

begin "connect() of datagram sockets without traffic: getaddrinfo(), Go, Node.js"
traced --summary --json -o "$work/json" -- probes "$tcp"
check json "$work/json" "$says"
traced -- probes "$tcp"
says "15 events, 1 destination, 0 lost; " # 3 of TCP, and 7 connects on 5 sockets, which are closed
[ "$(grep -c " probe  *udp " "$work/err")" -eq 7 ] || fail "not 7 probes: $(cat "$work/err")"
! grep -qE " connect  *udp |PROCESS" "$work/err" || fail "$(cat "$work/err")"
traced -o "$work/text" -- probes "$tcp"
checked check clean "$work/text" no || fail "$(cat "$work/checked")"

begin "sockets that are open when the trace ends"
traced --summary --json -o "$work/json" -- open "$tcp" "$udp"
check json "$work/json" "$says"
traced --events=connect,progress -- open "$tcp" "$udp"
says "  progress        tcp       127.0.0.1:$tcp  5.0 kB/700 B "
says "  progress        udp       127.0.0.1:$udp  1 sent, 2 received, 400 B/800 B "

begin "a connection from before the trace"
mkdir "$parent/mine"
rm -f "$says" "$work/json" "$work/text"
# shellcheck disable=SC2016 # expanded by the inner shell
sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$parent/mine" \
	"${traffic[@]}" older "$tcp" "$work/ready" "$work/go" "$says" &
started+=($!)
wait_for test -e "$work/ready"
"$trace" --cgroup "$parent/mine" --summary --json -o "$work/json" &
pid=$!
started+=("$pid")
wait_for grep -q ebpf_attached "$work/json"
"$trace" --cgroup "$parent/mine" -o "$work/text" &
other=$!
started+=("$other")
wait_for test -s "$work/text"
touch "$work/go"
wait_for test -e "$says"
wait_for grep -q " closed " "$work/text"
kill -INT "$pid" "$other"
wait "$pid" "$other" || fail "status $?"
check json "$work/json" "$says"
grep -qE " -  -  +unannounced +tcp +127\.0\.0\.1:$tcp$" "$work/text" || fail "$(cat "$work/text")"
grep -qE "1 destination, 0 lost; .* 0 still open$" "$work/text" || fail "$(cat "$work/text")"
wait_for rmdir "$parent/mine"

begin "more destinations than rows"
expect 0 "${t[@]}" --summary --json -o "$work/json" -- "${traffic[@]}" many 1500
check other "$work/json" 1500
expect 0 "${t[@]}" --summary -- "${traffic[@]}" many 1500
says "- (other destinations)" <(tr -s ' ' <"$work/err")

begin "names chosen by a process"
expect 0 "${t[@]}" --summary --json -o "$work/json" -- "${traffic[@]}" names "$tcp"
check names "$work/json"
expect 0 "${t[@]}" --summary -o "$work/text" -- "${traffic[@]}" names "$tcp"
checked check clean "$work/text" no || fail "$(cat "$work/checked")"

begin "hooks that are missing or not chosen: unknown numbers are null"
traced --summary --json --events=connect -o "$work/json" -- client "$tcp" "$udp"
check json "$work/json" "$says" failed=null bytes_sent=null bytes_received=null
traced --summary --json --names=off --events=connect -o "$work/json" -- client "$tcp" "$udp"
check json "$work/json" "$says" failed=null bytes_sent=null bytes_received=null
checked outcomes_check hooks "$work/json" connect || fail "$(cat "$work/checked")"
AGENTSH_EBPF_SIMULATE_MISSING=inet_egress traced --summary -- client "$tcp" "$udp"
grep -qE "^python3 +127\.0\.0\.1:$udp/udp +2 +0 +- +- +[0-9]" "$work/err" || fail "$(cat "$work/err")"
AGENTSH_EBPF_SIMULATE_MISSING=inet_egress traced --summary -- probes "$tcp"
says "/udp " # without counted packets, each connect() is a destination
begin "a summary of nothing"
expect 0 "${t[@]}" --summary -- true
says "0 events, 0 destinations, 0 lost; 0 connections opened, 0 failed, 0 still open"
expect 0 "${t[@]}" --summary --json -- true
[ "$(wc -l <"$work/err")" -eq 2 ] || fail "$(cat "$work/err")"

finish

#!/usr/bin/env bash
# Runs agentsh-trace on the real kernel and checks the events that follow an attempt.
# Usage: outcomes.sh AGENTSH-TRACE; exit status 77: skipped, not root.
set -euo pipefail

trace=$1
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

traffic=(python3 "$here/outcomes_traffic.py")
start_checks
check() { checked outcomes_check "$@" || fail "outcomes_check.py $*: $(cat "$work/checked")"; }
t=("$trace" --ebpf=required --cgroup-parent "$parent")

# client OPTION...: traces one connection of each kind into a JSON file
client() {
	rm -f "$work/says"
	expect 0 "${t[@]}" --json -o "$work/json" "$@" -- "${traffic[@]}" client "$port" "$work/served" "$work/says"
	silent "$work/err"
}

setpriv --pdeathsig KILL "${traffic[@]}" serve "$work/port" "$work/served" &
started+=($!)
wait_for test -e "$work/port"
port=$(cat "$work/port")

# ---- JSON -----------------------------------------------------------------------

begin "the events of each socket come in order, with the numbers that the server counted"
client
check lifecycle "$work/json" "$work/says" "$work/served"
check hooks "$work/json" connect udp lifecycle traffic dns server_name

begin "a real program: curl"
if command -v curl >/dev/null; then
	expect 0 "${t[@]}" --json -o "$work/json" -- curl -q --noproxy '*' -s -o /dev/null "http://127.0.0.1:$port/"
	check curl "$work/json" "$work/served"
else
	echo "left out: curl is not installed"
fi

begin "a connection that closes after the command has ended"
rm -f "$work/says"
"${traffic[@]}" slow "$work/slow" &
started+=($!)
wait_for test -e "$work/slow"
expect 0 "${t[@]}" --json -o "$work/json" -- "${traffic[@]}" leave "$(cat "$work/slow")" "$work/says"
check left "$work/json" "$work/says"

begin "a connection that stays open delays the end only for a moment"
expect 0 "${t[@]}" -- "${traffic[@]}" abandon "$port"
says "1 still open"

begin "inbound connections, with --events=all"
unix=() # kernel 6.7
! grep -q '"connect_unix","status":"available"' <("$trace" --probe --json) || unix=(unix)
expect 0 "${t[@]}" --json -o "$work/json" --events=all -- "${traffic[@]}" both
check both "$work/json"
check hooks "$work/json" connect udp lifecycle accept traffic dns server_name "${unix[@]}"

begin "--events: only the chosen events, and only the hooks that they need"
client --names=off --events=closed
check lifecycle "$work/json" "$work/says" "$work/served" net_closed
check hooks "$work/json" connect lifecycle traffic
client --names=off --events=connect_failed
check lifecycle "$work/json" "$work/says" "$work/served" net_connect_failed
check hooks "$work/json" connect lifecycle
client --events=connected,connect_failed
check lifecycle "$work/json" "$work/says" "$work/served" net_connected net_connect_failed
client --names=off --events=connect,udp_send
check lifecycle "$work/json" "$work/says" "$work/served" net_connect net_udp_send
check hooks "$work/json" connect udp
client --names=off --events=udp_send
check lifecycle "$work/json" "$work/says" "$work/served" net_udp_send
check hooks "$work/json" udp
begin "--events: only the chosen events, with the hooks that names need"
for events in closed connect_failed connect,udp_send udp_send; do
	client --events=$events
	IFS=, read -r -a kinds <<<"$events"
	check lifecycle "$work/json" "$work/says" "$work/served" "${kinds[@]/#/net_}"
done
check hooks "$work/json" connect udp lifecycle dns server_name
expect 0 "${t[@]}" --json -o "$work/json" --events=accepted -- "${traffic[@]}" both
check hooks "$work/json" accept
[ "$(grep -c net_accepted "$work/json")" -eq 1 ] || fail "$(cat "$work/json")"
[ "$(wc -l <"$work/json")" -eq 3 ] || fail "not exactly one event: $(cat "$work/json")"

begin "--events with unknown names"
for bad in "" "connect," ",connect" nothing connect,connects allx Connect sendto failed close accept net_connect $'\e[31mx'; do
	expect 125 "${t[@]}" --events="$bad" -- touch "$work/ran"
	says "it must be a list of connect, udp_send, connected, connect_failed, closed, accepted, session_blind, first_data, progress, unannounced, dns_query, dns_answer, server_name, unix_connect, socket_denied, packet_denied, dns, unix, or all"
done
expect 125 "${t[@]}" --events=$'\e[31mx' -- touch "$work/ran"
says "--events contains '\\x1B[31mx'"
[ ! -e "$work/ran" ] || fail "the command was run"

begin "if the kernel lacks a hook, the other events are shown and a message names the missing ones"
export AGENTSH_EBPF_SIMULATE_MISSING=sock_ops
client
check lifecycle "$work/json" "$work/says" "$work/served" net_connect net_udp_send
check hooks "$work/json" connect udp
expect 0 "${t[@]}" -- true
says "agentsh-trace: cannot be shown here: connected, connect_failed, closed, unannounced, names; "
expect 0 "${t[@]}" --events=connect --names=off -- true
grep -q "cannot be shown" "$work/err" && fail "$(cat "$work/err")"
begin "the same if it lacks the programs that count packets; then no connect() is called a probe"
for check in inet_ingress inet_egress; do
	export AGENTSH_EBPF_SIMULATE_MISSING=$check
	client
	case $check in
	inet_ingress) check hooks "$work/json" connect udp lifecycle server_name ;;
	inet_egress) check hooks "$work/json" connect udp lifecycle ;;
	esac
	rm -f "$work/says"
	expect 0 "${t[@]}" -- "${traffic[@]}" client "$port" "$work/served" "$work/says"
	says "agentsh-trace: cannot be shown here: unannounced, names; "
	says "connect         udp       [::1]:9"
	! grep -qE "probe +udp|no traffic| sent, " "$work/err" || fail "$(cat "$work/err")"
	says "18 events, 4 destinations, 0 lost"
	expect 125 "${t[@]}" --events=first_data,progress,unannounced -- touch "$work/ran"
	says "cannot trace: "
done
export AGENTSH_EBPF_SIMULATE_MISSING=sock_ops
begin "if no chosen event can be reported, tracing is impossible"
expect 125 "${t[@]}" --events=connect_failed,closed -- touch "$work/ran"
says "cannot trace: "
says "sock_ops does not work (simulated)"
expect 3 "$trace" --json --events=closed -- sh -c 'exit 3'
says ebpf_unavailable
AGENTSH_EBPF_SIMULATE_MISSING=bind4 expect 125 "${t[@]}" --events=accepted -- touch "$work/ran"
says "none of hooks"
AGENTSH_EBPF_SIMULATE_MISSING=sock_ops expect 125 "${t[@]}" --events=connect_failed,accepted -- touch "$work/ran"
says "none of the chosen events"
[ ! -e "$work/ran" ] || fail "the command was run"
unset AGENTSH_EBPF_SIMULATE_MISSING

# ---- Text output ----------------------------------------------------------------

begin "columns: one row per event, without escape sequences in a file"
rm -f "$work/says"
expect 0 "${t[@]}" -- "${traffic[@]}" client "$port" "$work/served" "$work/says"
check plain "$work/err" "$work/says"
checked check clean "$work/err" no || fail "$(cat "$work/checked")"

mkdir "$parent/mine"
begin "terminals"
python3 "$here/outcomes_pty.py" "$trace" "$parent/mine" "$port" || fail "see the messages above"
rmdir "$parent/mine"

begin "--probe reports which events beyond the attempt are available"
expect 0 "$trace" --probe --json
for path in tcp_outcome datagram_close tcp_accept; do
	checked probe_check holds "$work/out" "'$path' in c['seen']" || fail "$(cat "$work/checked")"
done

finish

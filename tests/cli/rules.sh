#!/usr/bin/env bash
# Runs agentsh-trace with rules on the real kernel, in network and mount namespaces of its own, so
# that no name is looked up outside. Usage: rules.sh AGENTSH-TRACE; exit status 77: skipped, not
# root, or namespaces cannot be made.
set -euo pipefail

if [ -z "${AGENTSH_TEST_INSIDE:-}" ] && [ "$(id -u)" -eq 0 ]; then
	if ! unshare --net --mount true 2>/dev/null; then
		echo "skipped: network and mount namespaces cannot be made here"
		exit 77
	fi
	# A test that is killed takes its servers along.
	AGENTSH_TEST_INSIDE=1 exec setpriv --pdeathsig KILL unshare --net --mount --kill-child --fork "$0" "$@"
fi

trace=$1
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"
export PATH=$PATH:/usr/sbin:/sbin

start_checks
check() { checked check "$@" || fail "check.py $*: $(cat "$work/checked")"; }
# get FILE TYPE KEY: the value of KEY in each line of TYPE, in one line
get() { checked check get "$@" || true; paste -sd ' ' "$work/checked"; }
client=(python3 "$here/rules_traffic.py")
on_pty=(python3 "$here/run_on_pty.py")
t=("$trace" --cgroup-parent "$parent")

# The resolver of agentsh-trace itself: a file of hosts, and no name server that answers.
ip link set lo up
printf '127.0.0.9 known.example.org\n' >"$work/hosts"
printf 'nameserver 127.0.0.53\noptions timeout:1 attempts:1\n' >"$work/resolv.conf"
printf 'hosts: files dns\n' >"$work/nsswitch.conf"
for file in hosts resolv.conf nsswitch.conf; do
	[ ! -e "/etc/$file" ] || mount --bind "$work/$file" "/etc/$file"
done

setpriv --pdeathsig KILL python3 "$here/names_traffic.py" serve "$work/ports" &
started+=($!)
wait_for test -e "$work/ports"
read -r dns tcp <"$work/ports"
closed=1 # a port where nobody listens

# rules OPTION... -- STEP...: the steps of the client, all of which go as they say
rules() {
	split "$@"
	expect 0 "${t[@]}" "${options[@]}" -- "${client[@]}" "${arguments[@]}"
}

# ---- Rules with addresses ---------------------------------------------------------

begin "--deny of a port: the call fails, and the row says why"
rules --deny "127.0.0.1:$tcp/tcp" -- "connect=127.0.0.1,$tcp,EPERM" "connect=127.0.0.2,$tcp,0" \
	"connect=127.0.0.1,$closed,ECONNREFUSED"
says "127.0.0.1:$tcp  denied: --deny 127.0.0.1:$tcp/tcp"
[ "$(grep -c denied: "$work/err")" -eq 1 ] || fail "$(cat "$work/err")"
says ", 1 denied; 1 connection opened, 2 failed, 0 still open"
begin "the exit status is that of the command"
expect 1 "${t[@]}" --deny "127.0.0.1:$tcp" -- bash -c ": >/dev/tcp/127.0.0.1/$tcp"
says "Operation not permitted"

begin "the first rule that matches decides"
rules --allow "127.0.0.1:$tcp" --deny 127.0.0.0/8 -- "connect=127.0.0.1,$tcp,0" "connect=127.0.0.2,$tcp,EPERM"
says "denied: --deny 127.0.0.0/8"
rules --deny 127.0.0.0/8 --allow "127.0.0.1:$tcp" -- "connect=127.0.0.1,$tcp,EPERM"

begin "--default=deny with --allow; ports, protocols and IPv4-mapped addresses"
rules --default=deny --allow "127.0.0.0/8:$tcp-$tcp/tcp" --allow "[::1]:9/udp" -- \
	"connect=127.0.0.1,$tcp,0" "mapped=127.0.0.1,$tcp,0" "send=127.0.0.1,$tcp,EPERM" \
	"mapped=127.0.0.1,$closed,EPERM" "send=::1,9,0" "send=::1,10,EPERM" "connect=::1,9,EPERM"
says "[::1]:10  denied: --default=deny"
says "udp_send        udp       127.0.0.1:$tcp  denied: --default=deny"
says ", 4 denied; 2 connections opened, 2 failed, 0 still open"

begin "--audit refuses nothing"
rules --audit --default=deny --deny "127.0.0.2" -- "connect=127.0.0.1,$tcp,0" "connect=127.0.0.2,$tcp,0"
says "127.0.0.1:$tcp (would deny: --default=deny)"
says "127.0.0.2:$tcp (would deny: --deny 127.0.0.2)"
says ", 2 would be denied; 2 connections opened, 0 failed, 0 still open"

begin "JSON: verdict and rule_id"
rules --json -o "$work/json" --default=deny --allow 127.0.0.1 --deny 127.0.0.2 -- \
	"connect=127.0.0.1,$tcp,0" "connect=127.0.0.2,$tcp,EPERM" "connect=127.0.0.3,$tcp,EPERM" "send=127.0.0.2,9,EPERM"
check stream "$work/json"
[ "$(get "$work/json" net_connect verdict)" = "allowed denied denied" ] || fail "$(cat "$work/json")"
[ "$(get "$work/json" net_connect rule_id)" = "1 2 0" ] || fail "$(cat "$work/json")"
[ "$(get "$work/json" net_udp_send verdict)" = denied ] || fail "$(cat "$work/json")"
[ "$(get "$work/json" ebpf_detached allowed) $(get "$work/json" ebpf_detached denied)" = "1 3" ] ||
	fail "$(cat "$work/json")"
silent "$work/err"
grep -q '"hooks":\[.*"rules"' "$work/json" || fail "hooks: $(cat "$work/json")"
rules --json -o "$work/json" --audit --default=deny -- "connect=127.0.0.1,$tcp,0"
[ "$(get "$work/json" net_connect verdict)" = would_deny ] || fail "$(cat "$work/json")"
begin "without rules the lines have no verdict"
rules --json -o "$work/json" -- "connect=127.0.0.1,$tcp,0"
check stream "$work/json"
! grep -qE 'verdict|rule_id|"rules"' "$work/json" || fail "$(cat "$work/json")"

begin "the summary by destination counts a denied attempt as failed"
rules --json --summary -o "$work/json" --deny 127.0.0.2 -- "connect=127.0.0.2,$tcp,EPERM" "connect=127.0.0.2,$tcp,EPERM"
[ "$(get "$work/json" net_summary connections) $(get "$work/json" net_summary failed)" = "2 2" ] ||
	fail "$(cat "$work/json")"
begin "--events without connect: the rules hold all the same"
rules --events=closed --names=off --deny 127.0.0.2 -- "connect=127.0.0.2,$tcp,EPERM" "send=127.0.0.2,9,EPERM"
says "0 events, 0 destinations, 0 lost, 2 denied;"

# ---- Refused connections, sockets and packets ---------------------------------------

# provides CHECK: whether this machine has what the check of --probe is about
provides() {
	"$trace" --probe --json >"$work/probe" || true
	checked probe_check holds "$work/probe" "checks['$1']['status'] == 'available'"
}

begin "--refuse: denied calls fail as if nobody listened"
if provides set_retval; then
	rules --default=deny --refuse --allow "127.0.0.2:$tcp" -- "connect=127.0.0.1,$tcp,ECONNREFUSED" \
		"connect=::1,$tcp,ECONNREFUSED" "mapped=127.0.0.1,$tcp,ECONNREFUSED" \
		"send=127.0.0.1,9,ECONNREFUSED" "send=::1,9,ECONNREFUSED" "connect=127.0.0.2,$tcp,0"
	says "127.0.0.1:$tcp  denied: --default=deny"
	says ", 5 denied; 1 connection opened, 3 failed, 0 still open"
	rules --audit --default=deny --refuse -- "connect=127.0.0.1,$tcp,0"
else
	expect 125 "${t[@]}" --default=deny --refuse -- touch "$work/ran"
	says "cannot trace: --refuse needs Linux 6.1 or later"
fi

begin "--strict-sockets: sockets that rules cannot judge are not made"
raw4=INET,RAW,1 raw6=INET6,RAW,58
kinds=("socket=INET,STREAM,0,0" "socket=INET6,STREAM,6,0" "socket=INET,DGRAM,0,0" "socket=INET6,DGRAM,17,0")
rules --deny 127.0.0.2 --strict-sockets -- "socket=$raw4,EPERM" "socket=$raw6,EPERM" "${kinds[@]}" \
	"connect=127.0.0.1,$tcp,0" "connect=127.0.0.2,$tcp,EPERM"
says "socket_denied   icmp      raw socket of IPv4  denied: --strict-sockets"
says "socket_denied   icmpv6    raw socket of IPv6  denied: --strict-sockets"
says ", 3 denied; 1 connection opened, 1 failed, 0 still open"
rules --deny 127.0.0.2 -- "socket=$raw4,0" "socket=$raw6,0"
rules --default=allow --strict-sockets -- "socket=$raw4,EPERM" "connect=127.0.0.2,$tcp,0"
rules --audit --default=allow --strict-sockets -- "socket=$raw4,0"
says "raw socket of IPv4 (would deny: --strict-sockets)"
rules --json -o "$work/json" --deny 127.0.0.2 --strict-sockets -- "socket=$raw6,EPERM" "${kinds[@]}"
check stream "$work/json"
[ "$(get "$work/json" net_socket_denied verdict) $(get "$work/json" ebpf_detached denied)" = "denied 1" ] ||
	fail "$(cat "$work/json")"
[ "$(get "$work/json" net_socket_denied family) $(get "$work/json" net_socket_denied protocol)" = "ipv6 58" ] ||
	fail "$(cat "$work/json")"
grep -q '"hooks":\[.*"rules","sock_create"\]' "$work/json" || fail "hooks: $(cat "$work/json")"

begin "--egress: packets of raw sockets are dropped"
rules --deny 127.0.0.2 --egress -- raw=127.0.0.1,0 raw=127.0.0.2,EPERM "connect=127.0.0.1,$tcp,0"
says "packet_denied   icmp      127.0.0.2:0  denied: --deny 127.0.0.2"
says ", 1 packet denied; 1 connection opened, 0 failed, 0 still open"
rules --deny 127.0.0.2 -- raw=127.0.0.2,0
rules --default=deny --allow 127.0.0.1 --egress -- raw=127.0.0.1,0 raw=127.0.0.2,EPERM
says "127.0.0.2:0  denied: --default=deny"
begin "--egress: a packet that cannot be judged is dropped"
rules --deny 127.0.0.2 --egress -- extensions=::1,0,0 extensions=::1,8,0 extensions=::1,9,EPERM
says "[::1]:0  denied: --egress"
says ", 1 packet denied;"
rules --deny 127.0.0.2 -- extensions=::1,9,0
rules --default=deny --allow ::1 --egress -- extensions=::1,8,0 extensions=::1,9,EPERM
says "[::1]:0  denied: --default=deny"
begin "--egress: packets that take another route after connect are dropped"
rules --deny 127.0.0.2 --egress -- route=127.0.0.1,9,127.0.0.1,0 route=127.0.0.1,9,127.0.0.2,EPERM
says "127.0.0.2:9  denied: --deny 127.0.0.2"
says ", 1 packet denied;"
rules --deny 127.0.0.2 -- route=127.0.0.1,9,127.0.0.2,0
begin "--egress: JSON and --audit"
rules --json -o "$work/json" --deny 127.0.0.3 --deny 127.0.0.2 --egress -- raw=127.0.0.2,EPERM raw=127.0.0.2,EPERM
check stream "$work/json"
[ "$(get "$work/json" net_packet_denied verdict)" = "denied denied" ] || fail "$(cat "$work/json")"
[ "$(get "$work/json" net_packet_denied rule_id)" = "2 2" ] || fail "$(cat "$work/json")"
[ "$(get "$work/json" ebpf_detached packets_denied)" = 2 ] || fail "$(cat "$work/json")"
grep -q '"hooks":\[.*"rules","egress"\]' "$work/json" || fail "hooks: $(cat "$work/json")"
rules --audit --deny 127.0.0.2 --egress -- raw=127.0.0.2,0
says "packet_denied   icmp      127.0.0.2:0 (would deny: --deny 127.0.0.2)"
says ", 1 packet would be denied;"
begin "--egress: answers of a server in the trace are not judged"
background "${t[@]}" --default=deny --egress -- "${client[@]}" "serve=$work/port"
wait_for test -e "$work/port"
"${client[@]}" "echo=$(cat "$work/port")" || fail "the server does not answer"
ends 0
! grep -q denied "$work/err" || fail "$(cat "$work/err")"
begin "--egress without the other programs that count packets"
rules --events=connect,packet_denied --names=off --deny 127.0.0.2 --egress -- raw=127.0.0.2,EPERM "connect=127.0.0.1,$tcp,0"
says "denied: --deny 127.0.0.2"
rules --events=connect --deny 127.0.0.2 --egress -- raw=127.0.0.2,EPERM
says "0 events, 0 destinations, 0 lost, 1 packet denied"
begin "--egress: sockets that were connected before the trace"
mkdir "$parent/mine"
# shellcheck disable=SC2016 # expanded by the inner shell
sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$parent/mine" "${client[@]}" "early=127.0.0.2,9,$work/connected" &
early=$!
started+=("$early")
wait_for test -e "$work/connected"
background "$trace" --deny 127.0.0.2 --egress --cgroup "$parent/mine"
wait "$early" || fail "the client failed"
kill -INT "$pid"
ends 0
says "127.0.0.2:9  denied: --deny 127.0.0.2"
rmdir_mine() { rmdir "$parent/mine"; }
wait_for rmdir_mine

# ---- Terminals ----------------------------------------------------------------------

begin "a terminal: a denied attempt is red"
expect 0 "${on_pty[@]}" "$work/tty" "${t[@]}" --deny 127.0.0.2 -- "${client[@]}" "connect=127.0.0.2,$tcp,EPERM"
says $'\e[31mconnect' "$work/tty"
says $'\e[31mdenied: --deny 127.0.0.2\e[0m' "$work/tty"
check clean "$work/tty" yes
expect 0 "${on_pty[@]}" "$work/tty" "${t[@]}" --deny 127.0.0.2 --egress -- "${client[@]}" raw=127.0.0.2,EPERM
says $'\e[31mpacket_denied' "$work/tty"
says $'\e[31mdenied: --deny 127.0.0.2\e[0m' "$work/tty"
begin "a terminal where rows are updated: --cgroup"
mkdir "$parent/mine"
sh -c 'echo 0 >"$0/cgroup.procs"; until "$@" 2>/dev/null; do sleep 0.1; done' "$parent/mine" \
	bash -c ": >/dev/tcp/127.0.0.1/$closed" &
repeating=$!
started+=("$repeating")
expect 0 "${on_pty[@]}" "$work/tty" --ctrl-c-at denied: "$trace" --deny "127.0.0.1:$closed" --cgroup "$parent/mine"
kill "$repeating"
wait "$repeating" 2>/dev/null || true
says $'\e[31mdenied: --deny 127.0.0.1:'"$closed"$'\e[0m' "$work/tty"
says ", 0 still open" "$work/tty"
wait_for rmdir_mine

# ---- Hosts ------------------------------------------------------------------------------

resolver=(--default=deny --dns-port "$dns" --allow "127.0.0.1:$dns/udp")
begin "a host has the addresses of the answers that the command gets"
rules "${resolver[@]}" --allow "API.example.org.:$tcp/tcp" -- "connect=127.0.0.7,$tcp,EPERM" \
	"ask=$dns,api.example.org" "until=127.0.0.7,$tcp" "connect=127.0.0.7,$closed,EPERM" \
	"connect=127.0.0.8,$tcp,EPERM"
rules "${resolver[@]}" --names=off --events=connect --allow many.example.org -- "ask=$dns,many.example.org" \
	"until=127.0.1.10,$tcp" "connect=127.0.1.1,$tcp,0"
begin "answers for another name do not count"
rules "${resolver[@]}" --allow cdn.example.org -- "ask=$dns,shop.example.org" sleep=0.5 "connect=127.0.0.8,$tcp,EPERM"
begin "the name behind a CNAME record is not the name that was asked for"
rules "${resolver[@]}" --allow edge.example.net -- "ask=$dns,api.example.org" sleep=0.5 "connect=127.0.0.7,$tcp,EPERM"
begin "answers of another name server do not count with --trusted-resolver"
rules "${resolver[@]}" --names=off --trusted-resolver 127.0.0.2 --allow api.example.org -- \
	"ask=$dns,api.example.org" sleep=0.5 "connect=127.0.0.7,$tcp,EPERM"
rules "${resolver[@]}" --trusted-resolver "127.0.0.1:$dns" --allow api.example.org -- \
	"ask=$dns,api.example.org" "until=127.0.0.7,$tcp"
begin "a host has the addresses that it had at the start"
rules --default=deny --allow "known.example.org:$tcp" -- "connect=127.0.0.9,$tcp,0" "connect=127.0.0.8,$tcp,EPERM"
rules --deny known.example.org -- "connect=127.0.0.9,$tcp,EPERM" "connect=127.0.0.8,$tcp,0"
says "denied: --deny known.example.org"
begin "JSON: a host has the number of its rule"
rules "${resolver[@]}" --allow api.example.org --json -o "$work/json" --events=connect -- \
	"ask=$dns,api.example.org" "until=127.0.0.7,$tcp"
check stream "$work/json"
[[ "$(get "$work/json" net_connect rule_id)" =~ ^1\ (0\ )*2$ ]] || fail "$(cat "$work/json")"
begin "more hosts than a set of rules can have"
hosts=()
for i in 1 2 3 4 5 6 7 8; do hosts+=(--deny "host$i.example.org"); done
expect 0 "${t[@]}" "${hosts[@]}" -- true
expect 125 "${t[@]}" "${hosts[@]}" --deny host9.example.org -- touch "$work/ran"
says "cannot trace: at most 8 rules with a host"
hosts=()
for i in 1 2 3 4 5 6 7 8 9; do hosts+=(--deny "host$i.example.org:$i"); done
expect 0 "${t[@]}" "${hosts[@]}" -- true

# ---- Errors -------------------------------------------------------------------------------

begin "without the programs that enforce rules the command is not run"
AGENTSH_EBPF_SIMULATE_MISSING=connect4 expect 125 "${t[@]}" --ebpf=auto --deny 192.0.2.1 -- touch "$work/ran"
says "agentsh-trace: cannot trace: "
AGENTSH_EBPF_SIMULATE_MISSING=set_retval expect 125 "${t[@]}" --deny 192.0.2.1 --refuse -- touch "$work/ran"
says "agentsh-trace: cannot trace: --refuse needs Linux 6.1 or later"
AGENTSH_EBPF_SIMULATE_MISSING=sock_create expect 125 "${t[@]}" --deny 192.0.2.1 --strict-sockets -- touch "$work/ran"
says "agentsh-trace: cannot trace: cgroup/sock_create does not work (simulated)"
AGENTSH_EBPF_SIMULATE_MISSING=inet_egress expect 125 "${t[@]}" --deny 192.0.2.1 --egress -- touch "$work/ran"
says "agentsh-trace: cannot trace: cgroup_skb/egress does not work (simulated)"
AGENTSH_EBPF_SIMULATE_MISSING=set_retval,sock_create,inet_egress expect 0 "${t[@]}" --names=off --deny 192.0.2.1 -- true
usage() {
	expect 125 "${t[@]}" "${@:2}" touch "$work/ran"
	says "$1"
	says "see agentsh-trace --help"
}
usage "nothing enforces the rules" --default=deny --ebpf=off
AGENTSH_EBPF=off usage "nothing enforces the rules" --deny 192.0.2.1
usage "--allow has no effect" --allow 192.0.2.1
usage "--allow has no effect" --allow 192.0.2.1 --default=allow --audit
for flag in --audit --egress --refuse --strict-sockets; do
	usage "$flag has no effect" "$flag"
	usage "--allow has no effect" "$flag" --allow 192.0.2.1
done
usage "--egress has no effect" --egress --default=allow
for bad in "" drop Deny; do
	usage "it must be allow or deny" "--default=$bad"
done
for bad in "" 192.0.2.1/33 "::1:80:" "[::1" "a b" "example.org:0" $'\e[2J'; do
	usage "it must be an address, a prefix or a host name" "--deny=$bad"
	check clean "$work/err" no
done
many=()
for i in {1..257}; do many+=(--deny "192.0.2.1:$i"); done
usage "more than 256 times" "${many[@]}"
[ ! -e "$work/ran" ] || fail "the command was run"

finish

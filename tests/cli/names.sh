#!/usr/bin/env bash
# Runs agentsh-trace on the real kernel and checks the names that it shows, with a name server of
# its own. Usage: names.sh AGENTSH-TRACE; exit status 77: skipped, not root.
set -euo pipefail

trace=$1
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

traffic=(python3 "$here/names_traffic.py")
start_checks
check() { checked names_check "$@" || fail "names_check.py $*: $(cat "$work/checked")"; }
clean() { checked check clean "$1" no || fail "$(cat "$work/checked")"; }

setpriv --pdeathsig KILL "${traffic[@]}" serve "$work/ports" &
started+=($!)
wait_for test -e "$work/ports"
read -r dns tcp <"$work/ports"
t=("$trace" --ebpf=required --cgroup-parent "$parent" --dns-port "$dns")
# traced OPTION... -- STEP...: traces names_traffic.py client with these steps
traced() {
	split "$@"
	expect 0 "${t[@]}" "${options[@]}" -- "${traffic[@]}" client "$dns" "$tcp" "${arguments[@]}"
}
http=$(printf 'GET / HTTP/1.1\r\nHost: other.example\r\n\r\n' | od -An -v -tx1 | tr -d ' \n')

# ---- JSON -----------------------------------------------------------------------

begin "JSON: the name that was asked for, and where it is from"
traced --json -o "$work/json" -- ask=API.Example.ORG connect=127.0.0.7
check api "$work/json" "$tcp" "$dns"
check statistic "$work/json" answers 1
check statistic "$work/json" packets_lost 0
checked outcomes_check hooks "$work/json" connect udp lifecycle traffic dns server_name ||
	fail "$(cat "$work/checked")"
silent "$work/err"

begin "an address that nobody asked for has no name"
traced --json -o "$work/json" --events=connected -- ask=api.example.org connect=127.0.0.6
check values "$work/json" net_connected dst_name null

begin "events that need other programs only for their names do not appear"
traced --json -o "$work/json" --events=connect -- ask=api.example.org connect=127.0.0.7
check values "$work/json" net_connect dst_name null api.example.org # first that of the name server
[ "$(grep -c '"net_' "$work/json")" -eq 2 ] || fail "$(cat "$work/json")"
traced --events=connect -- ask=api.example.org connect=127.0.0.7
says "2 events, 2 destinations, 0 lost"
! grep -q opened "$work/err" || fail "$(cat "$work/err")"

begin "a shared address: the name that was asked last"
traced --json -o "$work/json" --events=connected -- ask=cdn.example.org ask=shop.example.org connect=127.0.0.8
check values "$work/json" net_connected dst_name shop.example.org
check values "$work/json" net_connected dst_name_shared 1

begin "server names"
traced --json -o "$work/json" --events=server_name -- ask=api.example.org "connect=127.0.0.7,$http" \
	"connect=127.0.0.6,$http"
check values "$work/json" net_server_name server_name other.example other.example
check values "$work/json" net_server_name server_name_source http http
check values "$work/json" net_server_name dst_name api.example.org null

begin "--names=off"
traced --names=off --events=connect,connected,dns --json -o "$work/json" -- ask=api.example.org connect=127.0.0.7
check without "$work/json" dst_name server_name dst_name_flags
check dns "$work/json" api.example.org,A,NOERROR,1
expect 0 "$trace" --cgroup-parent "$parent" --names=off --json -o "$work/json" -- true
checked outcomes_check hooks "$work/json" connect udp lifecycle traffic || fail "$(cat "$work/checked")"

begin "--trusted-resolver"
traced --trusted-resolver 127.0.0.1 --trusted-resolver "[::1]:53" --json -o "$work/json" --events=connected -- \
	ask=api.example.org connect=127.0.0.7
check values "$work/json" net_connected dst_name api.example.org
for other in 127.0.0.2 127.0.0.1:53 ::1 "[::1]:$dns"; do
	traced --trusted-resolver "$other" --json -o "$work/json" --events=connected,dns -- \
		ask=api.example.org connect=127.0.0.7
	check values "$work/json" net_connected dst_name null
	checked check get "$work/json" net_dns_answer dns_flags || true
	says "['untrusted']" "$work/checked"
	check statistic "$work/json" answers_untrusted 1
done

begin "--events=dns: answers, failures, and a question without an answer"
rm -f "$work/go"
background "${t[@]}" --events=dns --json -o "$work/json" -- "${traffic[@]}" client "$dns" "$tcp" \
	ask=silent.example ask=many.example.org ask=nosuch.example ask=api.example.org,AAAA "wait=$work/go"
wait_for grep -q net_dns_query "$work/json"
touch "$work/go"
ends 0
check dns "$work/json" silent.example,A many.example.org,A,NOERROR,10 nosuch.example,A,NXDOMAIN,0 \
	api.example.org,AAAA,NOERROR,0

begin "--events=unix"
if grep -q '"connect_unix","status":"available"' <("$trace" --probe --json); then
	path=$(printf '%s' "$work/"$'a\e[31m"\xff' | od -An -v -tx1 | tr -d ' \n')
	u=("$trace" --ebpf=required --cgroup-parent "$parent")
	client=("${traffic[@]}" client "$dns" "$tcp" "unix=$path" unix=0061620a)
	expect 0 "${u[@]}" --events=unix --json -o "$work/json" -- "${client[@]}"
	check values "$work/json" net_unix_connect dst_path "$work/"'a\027[31m"\255' '@ab\010'
	expect 0 "${u[@]}" --events=unix_connect -o "$work/text" -- "${client[@]}"
	says 'unix      @ab\010' "$work/text"
	says 'a\027[31m"\255' "$work/text"
	clean "$work/text"
	says "2 events, 0 destinations, 0 lost" "$work/text"
else
	echo "left out: AF_UNIX sockets: the kernel has no such hook"
	expect 125 "$trace" --ebpf=required --cgroup-parent "$parent" --events=unix -- true
fi

# ---- Text -----------------------------------------------------------------------

begin "text: the name, with the address in a file"
traced --events=connected -- ask=api.example.org connect=127.0.0.7
says "  api.example.org:$tcp 127.0.0.7  "
clean "$work/err"
begin "text: a shared address, and a server name that differs"
traced -- ask=cdn.example.org ask=shop.example.org "connect=127.0.0.8,$http" "connect=127.0.0.6,$http"
says "  connect         tcp       shop.example.org:$tcp 127.0.0.8 (or 1 other)"
says "  closed          tcp       shop.example.org:$tcp 127.0.0.8 (or 1 other, HTTP: other.example)  "
says "  closed          tcp       127.0.0.6:$tcp (HTTP: other.example)  "
traced --events=server_name -- ask=api.example.org "connect=127.0.0.7,$http"
says "  server_name     tcp       api.example.org:$tcp 127.0.0.7  HTTP: other.example"
begin "text: look-ups"
traced --events=dns -- ask=many.example.org ask=nosuch.example,TXT
says "  dns_answer      udp       many.example.org A at 127.0.0.1:$dns  127.0.1.1, 127.0.1.2, 127.0.1.3, 127.0.1.4 and 6 more "
says "  dns_answer      udp       nosuch.example TXT at 127.0.0.1:$dns  NXDOMAIN "
expect 0 python3 "$here/run_on_pty.py" "$work/pty" "${t[@]}" --events=dns -- \
	"${traffic[@]}" client "$dns" "$tcp" ask=nosuch.example
says $'\e[31mNXDOMAIN' "$work/pty"
begin "text: names with special bytes"
traced --events=dns -o "$work/text" -- ask=$'a\e[31mb\n.ex\xff\xe2\x80\xae".org'
says 'ex\255\226\128\174' "$work/text"
clean "$work/text"
traced --events=dns --json -o "$work/json" -- ask=$'a\e[31mb\n.ex\xff\xe2\x80\xae".org'
check statistic "$work/json" answers 1

begin "terminals: the row of a connection gets the server name"
mkdir "$parent/mine"
python3 "$here/names_pty.py" "$trace" "$parent/mine" "$dns" "$tcp" "$work/terminal" || fail "see the messages above"
rmdir "$parent/mine"

begin "the summary groups by name"
traced --summary --json -o "$work/json" -- ask=many.example.org connect=127.0.1.1 connect=127.0.1.2 \
	ask=api.example.org connect=127.0.0.7 connect=127.0.0.7 connect=127.0.0.6
check summary "$work/json" many.example.org,None,2 api.example.org,127.0.0.7,2 None,127.0.0.6,1
traced --summary -- ask=many.example.org connect=127.0.1.1 connect=127.0.1.2
grep -qE "^python3 +many\.example\.org:$tcp/tcp +2 " "$work/err" || fail "$(cat "$work/err")"

# ---- What is missing, and arguments ------------------------------------------------

begin "a kernel without the programs for names"
export AGENTSH_EBPF_SIMULATE_MISSING=inet_ingress
traced --events=connect -- ask=api.example.org connect=127.0.0.7
says "agentsh-trace: cannot be shown here: names; "
says "  127.0.0.7:$tcp"
traced --names=off --events=connect,dns -- connect=127.0.0.7
says "agentsh-trace: cannot be shown here: dns_query, dns_answer; "
expect 125 "${t[@]}" --events=dns -- true
says "cannot trace: "
expect 0 "$trace" --cgroup-parent "$parent" --names=off --events=connect -- true
! grep -q "cannot be shown" "$work/err" || fail "$(cat "$work/err")"
export AGENTSH_EBPF_SIMULATE_MISSING=connect_unix
expect 125 "$trace" --ebpf=required --cgroup-parent "$parent" --events=unix -- true
says "cannot trace: "
expect 0 "${t[@]}" --events=unix,dns -- true
says "agentsh-trace: cannot be shown here: unix_connect; "
unset AGENTSH_EBPF_SIMULATE_MISSING

begin "a program of somebody else that only the programs for names would displace"
mkdir "$parent/firewall"
python3 "$here/firewall.py" "$parent/firewall" egress
below=("$trace" --ebpf=required --cgroup-parent "$parent/firewall")
expect 0 "${below[@]}" --events=connect -- true
says "agentsh-trace: cannot be shown here: names; "
expect 125 "${below[@]}" --events=connect,dns -- true
says "(--displace)"
expect 0 "${below[@]}" --events=connect --displace -- true
! grep -q "cannot be shown" "$work/err" || fail "$(cat "$work/err")"
rmdir "$parent/firewall"

begin "arguments"
usage() {
	local words=$1
	shift
	expect 125 "$trace" "$@" true
	says "$words"
	clean "$work/err"
}
for bad in "" On yes $'\e[2J'; do
	usage "it must be on or off" "--names=$bad"
done
for bad in "" 0 65536 -1 53x $'\e[2J'; do
	usage "it must be a number from 1 to 65535" "--dns-port=$bad"
done
for bad in "" localhost 192.0.2 192.0.2.1:0 192.0.2.1:x 192.0.2.1:65536 "[192.0.2.1]:53" "[::1" "[::1]53" "[::1]:" \
	::1:x "$(printf '1%.0s' $(seq 100))" $'\e[2J'; do
	usage "it must be an IP address" "--trusted-resolver=$bad"
done
five=(--dns-port={1..5})
usage "--dns-port is given more than 4 times" "${five[@]}"
five=(--trusted-resolver=127.0.0.{1..5})
usage "--trusted-resolver is given more than 4 times" "${five[@]}"
usage "--dns-port has no effect" --names=off --dns-port=54
usage "--trusted-resolver has no effect" --events=accepted --trusted-resolver=::1
expect 0 "$trace" --cgroup-parent "$parent" --dns-port=1 --dns-port=2 --dns-port=3 --dns-port=65535 \
	--trusted-resolver=::1 --trusted-resolver=::2 --trusted-resolver=192.0.2.1:1 --trusted-resolver="[::1]:9" true

finish

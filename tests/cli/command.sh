#!/usr/bin/env bash
# Runs agentsh-trace on the real kernel and checks what its manual page promises.
# Usage: command.sh AGENTSH-TRACE QUICKSTART-SERVER MANUAL-PAGE
# Exit status 77: skipped, not root.
# shellcheck disable=SC2016 # variables in single quotes are expanded by inner shells
set -euo pipefail

trace=$1
server=$2
page=$(realpath "$3") # in scdoc syntax
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

start_checks
traffic=(python3 "$here/traffic.py")
check() { checked check "$@" || fail "check.py $*: $(cat "$work/checked")"; }
# get FILE TYPE KEY: the value of KEY in each line of TYPE
get() { checked check get "$@" || true; cat "$work/checked"; }
on_pty=(python3 "$here/run_on_pty.py")
# one connect() of a UDP socket
connect=(bash -c ': >/dev/udp/127.0.0.1/9')

# This script counts attempts only; outcomes.sh tests the other events.
attempts=("--events=connect,udp_send")
t=("$trace" --cgroup-parent "$parent" "${attempts[@]}")

gone() { ! kill -0 "$1" 2>/dev/null; }

# ---- events ---------------------------------------------------------------------

begin "JSON: every kind of call, every member"
from=$(date +%s.%N)
expect 0 "${t[@]}" --json -o "$work/json" --session-id 18446744073709551615 -- "${traffic[@]}" calls "$work/says"
check calls "$work/json" "$work/says" "$from" "$(date +%s.%N)"
[ "$(get "$work/json" ebpf_attached session_id)" = 18446744073709551615 ] || fail "session_id"
silent "$work/err"
removed

begin "without -o the trace goes to stderr, and stdout contains only the output of the command"
expect 0 "${t[@]}" --json -- sh -c 'echo mine'
[ "$(cat "$work/out")" = mine ] || fail "stdout: $(cat "$work/out")"
check count "$work/err" 0

begin "the cgroup is made below that of agentsh-trace, and the command starts inside it"
expect 0 "$trace" --json -o "$work/json" -- sh -c 'grep ^0:: /proc/self/cgroup'
cgroup=$(get "$work/json" ebpf_attached cgroup)
own=$(grep ^0:: /proc/self/cgroup | cut -c4-)
case $cgroup in
"$root${own%/}"/agentsh-trace.*) ;;
*) fail "not below $root$own: $cgroup" ;;
esac
says "0::${own%/}/${cgroup##*/}" "$work/out"
[ ! -e "$cgroup" ] || fail "still there: $cgroup"

begin "--cgroup-parent"
expect 0 "${t[@]}" --json -o "$work/json" -- true
case $(get "$work/json" ebpf_attached cgroup) in
"$parent"/agentsh-trace.*) ;;
*) fail "not below $parent: $(cat "$work/json")" ;;
esac

"$server" >"$work/ports" 2>&1 &
started+=($!)
wait_for grep -q tcp "$work/ports"
read -r _ _ _ udp <"$work/ports"

begin "nothing is missed if a program sends at once"
for _ in $(seq 25); do
	expect 0 "${t[@]}" --json -o "$work/json" -- "$server" --send-udp "$udp"
	check count "$work/json" 1
done
begin "nothing is missed if clone3() is forbidden"
expect 0 "${traffic[@]}" seccomp /bin/sh -ec 'work=$1 server=$2 udp=$3
	shift 3
	for i in 0 1 2 3 4 5 6 7 8 9; do
		"$@" --json -o "$work/json.$i" -- "$server" --send-udp "$udp"
	done' sh "$work" "$server" "$udp" "${t[@]}"
for i in $(seq 0 9); do
	check count "$work/json.$i" 1
done
removed

begin "children and grandchildren are traced"
expect 0 "${t[@]}" --json -o "$work/json" -- sh -c '("$0" --send-udp "$1"; (sh -c "\"$0\" --send-udp $1; true")); true' \
	"$server" "$udp"
check count "$work/json" 2

begin "each batch of events is written at once"
background "${t[@]}" --json -o "$work/json" -- "${traffic[@]}" hold "$work/ready" "$work/go"
wait_for test -e "$work/ready"
wait_for grep -q net_connect "$work/json"
gone "$pid" && fail "agentsh-trace ended too early"
touch "$work/go"
ends 0
check count "$work/json" 1
rm "$work/ready" "$work/go"

# With names, the library also reports the ends of sockets, which might be among the lost events.
begin "a stalled reader: lost events are counted and shown, and the command continues"
mkfifo "$work/fifo"
exec 8<>"$work/fifo"
background "${t[@]}" --names=off --json --udp-no-dedup -o "$work/fifo" -- sh -c '"$@" && touch "$0"' "$work/flooded" \
	"${traffic[@]}" flood 100000
wait_for test -e "$work/flooded"
cat "$work/fifo" >"$work/json" 8<&- &
reader=$!
exec 8<&-
ends 0
wait "$reader"
check lost "$work/json" 100000
rm "$work/flooded"

begin "a flood that is read in time: timestamps and counts"
expect 0 "${t[@]}" --json --udp-no-dedup -o "$work/json" -- "${traffic[@]}" flood 3000
check count "$work/json" 3000
begin "without --udp-no-dedup a destination is shown once, and the other datagrams are counted"
expect 0 "${t[@]}" --json -o "$work/json" -- "${traffic[@]}" flood 3000
check count "$work/json" 1
[ "$(get "$work/json" ebpf_detached deduplicated)" = 2999 ] || fail "$(cat "$work/json")"
expect 0 "${t[@]}" -- "${traffic[@]}" flood 3
says "1 event, 1 destination, 0 lost, 2 more datagrams to the same destinations"

begin "a command may have more sockets than the share of one session among several"
expect 0 "$trace" --cgroup-parent "$parent" --json -o "$work/json" -- "${traffic[@]}" sockets 17000
check accounted "$work/json" 34000

# ---- Text output ----------------------------------------------------------------

begin "columns and the summary, without colour in a file"
rm -f "$work/says"
expect 0 "${t[@]}" -- "${traffic[@]}" calls "$work/says"
check columns "$work/err" "$work/says"
check clean "$work/err" no

begin "interfaces, 0.0.0.0 and ::"
if python3 -c 'import socket; socket.socket().getsockopt(socket.SOL_SOCKET, 71, 8)' 2>/dev/null; then
	expect 0 unshare -n "${t[@]}" -- "${traffic[@]}" places
	says "  [fe80::1234%lo]:9"
	says "  127.0.0.5%lo:9"
else
	echo "left out: names of interfaces: the kernel has no SO_NETNS_COOKIE"
fi
# In another network namespace, the same number may stand for another interface.
expect 0 "${t[@]}" -- unshare -n "${traffic[@]}" places
says "  [fe80::1234%1]:9"
says "  127.0.0.5%1:9"
says "  127.0.0.1:9 (named 0.0.0.0)"
says "  [::1]:9 (named ::)"
expect 0 "${t[@]}" --json -o "$work/json" -- "${traffic[@]}" places
[ "$(get "$work/json" net_connect ifindex | tr '\n' ' ')" = "1 1 0 0 " ] || fail "$(cat "$work/json")"
[ "$(get "$work/json" net_connect unspecified | tr '\n' ' ')" = "False False True True " ] || fail "$(cat "$work/json")"

begin "colour on a terminal"
expect 0 "${on_pty[@]}" "$work/pty" "${t[@]}" -- "${connect[@]}"
check clean "$work/pty" yes
begin "no colour with NO_COLOR or on a dumb terminal, but colour with an empty NO_COLOR"
expect 0 env NO_COLOR=1 "${on_pty[@]}" "$work/pty" "${t[@]}" -- true
tr -d '\r' <"$work/pty" >"$work/plain"
check clean "$work/plain" no
expect 0 env TERM=dumb "${on_pty[@]}" "$work/pty" "${t[@]}" -- true
tr -d '\r' <"$work/pty" >"$work/plain"
check clean "$work/plain" no
expect 0 env NO_COLOR= "${on_pty[@]}" "$work/pty" "${t[@]}" -- true
check clean "$work/pty" yes
begin "no colour in a file even if stderr is a terminal"
expect 0 "${on_pty[@]}" "$work/pty" "${t[@]}" -o "$work/plain" -- true
check clean "$work/plain" no

begin "names chosen by a process: valid JSON, and no escape sequences on the terminal"
expect 0 "${t[@]}" --json -o "$work/json" -- "${traffic[@]}" names
check names "$work/json"
expect 0 "${on_pty[@]}" "$work/pty" "${t[@]}" -- "${traffic[@]}" names
check clean "$work/pty" yes
says '\x1B]0;pwned\x07' "$work/pty"
expect 0 "${t[@]}" -o "$work/plain" -- "${traffic[@]}" names
check clean "$work/plain" no

# ---- Exit status and signals ----------------------------------------------------

begin "exit status"
for mode in off auto required; do
	for status in 0 1 3 124 125 126 127 128 255; do
		expect $status "${t[@]}" --ebpf=$mode -- sh -c "exit $status"
	done
	for signal in HUP INT KILL TERM SEGV; do
		# the shell cannot reset a signal that was ignored when it started; env can
		expect $((128 + $(kill -l $signal))) "${t[@]}" --ebpf=$mode -- \
			env --default-signal=HUP,INT,TERM,SEGV sh -c "kill -$signal \$\$"
	done
	expect 127 "${t[@]}" --ebpf=$mode -- agentsh-no-such-command
	says "agentsh-trace: cannot run 'agentsh-no-such-command': No such file"
	expect 127 "${t[@]}" --ebpf=$mode -- "$work/none"
	expect 126 "${t[@]}" --ebpf=$mode -- "$work"
	expect 126 "${t[@]}" --ebpf=$mode -- "$here/check.py/no"
done
removed

begin "signals are forwarded"
for signal in INT TERM HUP USR1; do
	background "${t[@]}" --json -o "$work/json" -- "${traffic[@]}" signal "$work/ready" "$work/name"
	wait_for test -e "$work/ready"
	kill -$signal "$pid"
	ends 7
	[ "$(cat "$work/name")" = SIG$signal ] || fail "$signal arrived as $(cat "$work/name")"
	check count "$work/json" 0
	rm "$work/ready" "$work/name"
done

begin "SIGTERM ends the command; the cgroup is removed and the trace is complete"
background "${t[@]}" --json -o "$work/json" -- "${traffic[@]}" hold "$work/ready" "$work/go"
wait_for test -e "$work/ready"
[ -d "$parent/agentsh-trace.$pid.0" ] || fail "no cgroup $parent/agentsh-trace.$pid.0"
kill -TERM "$pid"
ends 143
check count "$work/json" 1
removed
rm "$work/ready"

begin "SIGTERM at any moment, including the first"
for i in $(seq 0 29); do
	background "${t[@]}" --ebpf=required -- sleep 1000
	wait_for test "/proc/$pid/exe" -ef "$trace" # before its exec, it is a shell with traps
	sleep "0.00$((i / 10))$((i % 10))"
	kill -TERM "$pid"
	ends 143
done
removed

begin "processes that outlive the command keep running, and the cgroup is removed"
expect 0 "${t[@]}" -- sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'
orphan=$(cat "$work/out")
says "1 process started by COMMAND is still running, no longer traced"
gone "$orphan" && fail "$orphan is gone"
kill -KILL "$orphan"
removed
begin "the same with processes in a cgroup that the command made"
expect 0 "${t[@]}" --json -o "$work/json" -- sh -c 'c=$0$(grep ^0:: /proc/self/cgroup | cut -c4-)/inner
	mkdir "$c"
	(echo 0 >"$c/cgroup.procs"; exec "$@"); status=$?
	(echo 0 >"$c/cgroup.procs"; exec sleep 1000 >/dev/null 2>&1) & echo $!
	until grep -q inner /proc/$!/cgroup; do sleep 0.01; done
	exit $status' "$root" "${connect[@]}"
check count "$work/json" 1
kill -KILL "$(cat "$work/out")" || fail "the process is gone"
removed

begin "Ctrl-C on a terminal reaches the command once, and the summary is written"
expect 5 "${on_pty[@]}" "$work/pty" --ctrl-c-at ready "${t[@]}" -- python3 -c '
import signal, sys, time
got = []
signal.signal(signal.SIGINT, lambda *_: got.append(1))
print("ready", flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.3)
sys.exit(4 + len(got))'
says "0 events, 0 destinations, 0 lost" "$work/pty"
removed

# ---- An existing cgroup ---------------------------------------------------------

begin "--cgroup until SIGINT or SIGTERM"
mkdir "$parent/mine"
for signal in INT TERM; do
	: >"$work/json"
	background "$trace" --json -o "$work/json" "${attempts[@]}" --cgroup "$parent/mine"
	wait_for grep -q ebpf_attached "$work/json"
	"${connect[@]}" # outside the cgroup
		sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$parent/mine" "${connect[@]}"
	kill -$signal "$pid"
	ends 0
	check count "$work/json" 1
	[ "$(get "$work/json" net_connect cgroup_id)" = "$(stat -c %i "$parent/mine")" ] ||
		fail "cgroup_id: $(cat "$work/json")"
	[ -d "$parent/mine" ] || fail "agentsh-trace removed a cgroup that it did not make"
done
rmdir "$parent/mine"

begin "a cgroup that is removed during the trace"
for format in --json --events=udp_send,session_blind --events=udp_send; do
	mkdir "$parent/mine"
	: >"$work/json"
	background "$trace" "$format" -o "$work/json" --cgroup "$parent/mine"
	wait_for test -s "$work/json"
	rmdir "$parent/mine"
	wait_for grep -qF "the trace is incomplete from now on: the cgroup was removed; hooks that still work: none" \
		"$work/err"
	kill -INT "$pid"
	ends 0
	case $format in
	--json)
		check count "$work/json" 0
		[ "$(get "$work/json" net_session_blind error)" = 2 ] || fail "$(cat "$work/json")"
		;;
	*blind) says "--- incomplete from here on: the cgroup was removed ---" "$work/json" ;;
	*) ! grep -q incomplete "$work/json" || fail "$(cat "$work/json")" ;;
	esac
done

begin "--cgroup that cannot be traced"
for bad in "$parent/none" "$work" "$here/command.sh" ""; do
	expect 125 "$trace" --cgroup "$bad"
	says "agentsh-trace: cannot trace: "
	expect 125 "$trace" --json --cgroup "$bad"
	[ "$(get "$work/err" ebpf_unavailable code)" -lt 0 ] || fail "$(cat "$work/err")"
done

# ---- Tracing is impossible -------------------------------------------------------

# Without capabilities, root still owns the files, so the missing capability is the first reason.
incapable=(setpriv --bounding-set=-all --inh-caps=-all --)
begin "without capabilities, auto runs the command untraced and says so once"
expect 3 "${incapable[@]}" "$trace" --json -- sh -c 'echo ran; exit 3'
says ran "$work/out"
[ "$(get "$work/err" ebpf_unavailable type)" = ebpf_unavailable ] || fail "$(cat "$work/err")"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "more than one line: $(cat "$work/err")"
says CAP_BPF
expect 3 "${incapable[@]}" "$trace" --ebpf=auto -- sh -c 'exit 3'
says "agentsh-trace: running untraced: "
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "more than one line: $(cat "$work/err")"
begin "without capabilities, required does not run the command"
expect 125 "${incapable[@]}" "$trace" --ebpf=required -- touch "$work/ran"
says "agentsh-trace: cannot trace: "
expect 125 "${incapable[@]}" "$trace" --ebpf=required --json -- touch "$work/ran"
check get "$work/err" ebpf_unavailable reason
expect 125 "${incapable[@]}" "$trace" --ebpf=required --json -o "$work/json" -- touch "$work/ran"
check get "$work/json" ebpf_unavailable reason
says "agentsh-trace: cannot trace: "
[ ! -e "$work/ran" ] || fail "the command was run"
begin "a program of somebody else is not displaced"
mkdir "$parent/firewall"
python3 "$here/firewall.py" "$parent/firewall"
below=("$trace" --cgroup-parent "$parent/firewall" "${attempts[@]}")
# runs the rest of the command line in the cgroup of the firewall
inside=(sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$parent/firewall")
expect 3 "${below[@]}" -- sh -c 'exit 3'
says "agentsh-trace: running untraced: cgroup/connect4: attaching would displace program "
says "(--displace)"
expect 1 "${inside[@]}" "${below[@]}" -- "${connect[@]}" # refused
expect 125 "${below[@]}" --ebpf=required -- true
says "agentsh-trace: cannot trace: cgroup/connect4: attaching would displace program "
expect 0 "${below[@]}" --json -- true
[ "$(get "$work/err" ebpf_unavailable code)" = -16 ] || fail "$(cat "$work/err")"
mkdir "$parent/firewall/below"
expect 125 "$trace" --cgroup "$parent/firewall/below"
says "--displace"
expect 0 "${below[@]}" --displace --json -- "${connect[@]}" # not refused any more
check count "$work/err" 1
inside[3]=$parent/firewall/below
expect 0 "${inside[@]}" "$trace" --probe
says "Some programs were only loaded, not attached" "$work/out"
says "cgroup/connect4 was only loaded: attaching it would displace program " "$work/out"
rmdir "$parent/firewall/below" "$parent/firewall"

begin "off prints nothing"
expect 3 "${incapable[@]}" "$trace" --ebpf=off --json -- sh -c 'exit 3'
silent "$work/err"
expect 0 "${t[@]}" --ebpf=off --json -- "${connect[@]}"
silent "$work/err"

begin "an unprivileged user"
mkdir "$work/copy"
cp "$trace" "$work/copy/"
ldd "$trace" | awk '/libagentsh/ { print $3 }' | xargs -I{} cp -L {} "$work/copy/libagentsh-ebpf.so.1"
chmod -R a+rX "$work"
user=(setpriv --reuid=65534 --regid=65534 --clear-groups -- env "LD_LIBRARY_PATH=$work/copy" "$work/copy/agentsh-trace")
expect 9 "${user[@]}" --json -- sh -c 'exit 9'
[ "$(get "$work/err" ebpf_unavailable code)" = -1 ] || fail "$(cat "$work/err")"
expect 125 "${user[@]}" --ebpf=required -- true
expect 9 "${user[@]}" --ebpf=off -- sh -c 'exit 9'

begin "cgroup v2 mounted elsewhere, as on a hybrid machine, or not at all"
mkdir "$work/an other" "$work/place"
elsewhere=(unshare -m --propagation private sh -ec 'umount -l "$0"
	[ "$1" = nowhere ] || mount -t cgroup2 none "$1"
	shift; exec "$@"' "$root")
expect 0 "${elsewhere[@]}" "$work/an other" "$trace" --json "${attempts[@]}" -o "$work/json" -- "${connect[@]}"
check get "$work/json" ebpf_attached cgroup
says "$work/an other/" "$work/json"
check count "$work/json" 1
expect 6 "${elsewhere[@]}" nowhere "$trace" --json -- sh -c 'exit 6'
[ "$(get "$work/err" ebpf_unavailable step)" = cgroup_find ] || fail "$(cat "$work/err")"

# ---- Output and arguments -------------------------------------------------------

begin "--output with odd names"
odd=$work/$'o\e[31m"d\\d\n\xff'
expect 0 "${t[@]}" --json --output="$odd" -- "${connect[@]}"
check count "$odd" 1
printf 'old text\n%.0s' $(seq 1000) >"$work/json"
expect 0 "${t[@]}" --json -o "$work/json" -- true
check count "$work/json" 0
for bad in "" "$work" "$work/none/x" "$work/json/x" "$(printf 'x%.0s' $(seq 300))" \
	"$work/none/"$'\e]0;pwned\a\n\xff\xc2\x9b'; do
	expect 125 "${t[@]}" -o "$bad" -- touch "$work/ran"
	says "agentsh-trace: opening "
	check clean "$work/err" no
done
[ ! -e "$work/ran" ] || fail "the command was run"
begin "a full disk is reported once, and the command continues"
expect 8 "${t[@]}" --udp-no-dedup -o /dev/full -- sh -c '"$@"; exit 8' sh "${traffic[@]}" flood 2000
[ "$(cat "$work/err")" = "agentsh-trace: writing the trace: No space left on device; the rest of it is not written" ] ||
	fail "$(cat "$work/err")"
begin "a reader that closes the pipe"
expect 8 sh -c '"$@" 2>&1 >/dev/null | head -c 1 >/dev/null; exit 8' sh "$trace" --udp-no-dedup -- \
	"${traffic[@]}" flood 20000
begin "closed standard descriptors"
(
	exec <&- >&- 2>&-
	exec "${t[@]}" --json -o "$work/json" -- "${connect[@]}"
) || fail "status $?"
check count "$work/json" 1
removed

begin "arguments"
usage() {
	local words=$1
	shift
	expect 125 "$trace" "$@"
	says "$words"
	says "see agentsh-trace --help"
	check clean "$work/err" no
	silent "$work/out"
}
usage "COMMAND or --cgroup PATH is missing"
usage "COMMAND or --cgroup PATH is missing" --
usage "COMMAND or --cgroup PATH is missing" --json
usage "unknown or ambiguous option '--no-such'" --no-such -- true
usage "unknown or ambiguous option '--cg'" --cg x true
usage "unknown option -x" -x true
usage "option '--output' needs a value" --output
usage "option '-o' needs a value" -o
usage "option '--cgroup' needs a value" --cgroup
usage "option '--json=yes' takes no value" --json=yes true
usage "option '--help=me' takes no value" --help=me
usage "unknown or ambiguous option '--\\x1B[31m\\x0A'" $'--\e[31m\n' true
usage "unknown option -\\xFF" $'-\xff' true
for bad in "" on Auto $'\e[2J'; do
	usage "it must be off, auto or required" "--ebpf=$bad" true
done
for bad in "" -1 " 1" 1x 18446744073709551616 0x1; do
	usage "it must be a number from 0 to 18446744073709551615" "--session-id=$bad" true
done
usage "leave out 'true'" --cgroup "$parent" true
usage "leave it out with --cgroup" --cgroup "$parent" --cgroup-parent "$parent"
usage "nothing to do with --cgroup" --cgroup "$parent" --ebpf=off
expect 127 "${t[@]}" -- $'no\e[31msuch'
says "cannot run 'no\\x1B[31msuch'"
check clean "$work/err" no
expect 0 "$trace" --help
says "Usage: agentsh-trace" "$work/out"
expect 0 "$trace" --version
says "agentsh-trace 1." "$work/out"
expect 125 sh -c '"$0" --help >/dev/full' "$trace"
begin "--help and the manual page list the same options, events and JSON members"
options() { grep -oE -- '(^|[ *])--?[a-zA-Z][a-z-]*' | tr -d ' *' | sort -u; }
"$trace" --help | grep -oE '^ +(-[a-zA-Z], +)?--[a-z-]+' | options >"$work/help-options"
sed -n '/^# OPTIONS/,/^# EVENTS/p' "$page" | grep '^\*-' | options >"$work/page-options"
diff "$work/help-options" "$work/page-options" || fail "the options differ"
[ "$(wc -l <"$work/help-options")" -ge 15 ] || fail "too few options: $(cat "$work/help-options")"
while read -r option; do
	timeout -k 1 10 "$trace" "$option" >"$work/out" 2>"$work/err" </dev/null || true
	! grep -q "unknown" "$work/err" || fail "$(cat "$work/err")"
done <"$work/help-options"
check page "$page"

begin "arguments after the command belong to the command"
expect 0 "${t[@]}" -o "$work/plain" echo --json -o --cgroup
[ "$(cat "$work/out")" = "--json -o --cgroup" ] || fail "$(cat "$work/out")"

finish

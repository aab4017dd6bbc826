#!/usr/bin/env bash
# Runs agentsh-trace on the real kernel and checks the JSON members that come from /proc and
# from the cgroup hierarchy. Exit status 77: skipped, not root.
# Usage: process.sh AGENTSH-TRACE HOLD-MEMORY HEADER
# shellcheck disable=SC2016 # variables in single quotes are expanded by inner shells
set -euo pipefail

trace=$1
hold_memory=$2
header=$(realpath "$3")
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

start_checks
check() { checked check "$@" || fail "check.py $*: $(cat "$work/checked")"; }
json=("$trace" --json -o "$work/json" --events=connect)
t=("${json[@]}" --ebpf=required --cgroup-parent "$parent")
bash=$(readlink -f "$(command -v bash)")
python=$(python3 -c 'import os; print(os.readlink("/proc/self/exe"))')

# connect() of UDP sockets to port $1 of this machine, until the file $0 exists: the answer
# from /proc may come late on a busy machine
repeat='until [ -e "$0" ]; do : >"/dev/udp/127.0.0.1/$1"; sleep 0.02; done'
once=(bash -c ': >/dev/udp/127.0.0.1/$0')

# until_shown PORT COMMAND...: runs the command, until the trace shows the program of an event
# with this port; then the file $work/go ends the command
until_shown() {
	local port=$1
	shift
	rm -f "$work/go" "$work/json"
	background "$@"
	wait_for checked check shows_program "$work/json" "$port"
	touch "$work/go"
	ends 0
}

# trace_mine OPTION...: traces the cgroup $parent/mine in the background
trace_mine() {
	rm -f "$work/json"
	background "$@" "${json[@]}" --cgroup "$parent/mine"
	wait_for grep -q ebpf_attached "$work/json"
}

# in_cgroup PATH COMMAND...
in_cgroup() { sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$@"; }

# is_stopped PID: the process no longer reads anything
is_stopped() { grep -q '^State:.*stopped' "/proc/$1/status"; }

begin "the JSON lines show each member of an event in the header"
check members "$header"

# ---- The program and its arguments -------------------------------------------------

begin "exe and args"
until_shown 20 "${t[@]}" -- bash -c "$repeat" "$work/go" 20 'a b' '' $'\e"\\\n\xff'
check program "$work/json" 20 "$bash" bash -c "$repeat" "$work/go" 20 'a b' '' $'\e"\\\n\xff'

begin "--no-proc"
expect 0 "${t[@]}" --no-proc -- "${once[@]}" 20
check no_proc "$work/json"

begin "long arguments are cut"
until_shown 20 "${t[@]}" -- bash -c "$repeat" "$work/go" 20 "$(printf 'x%.0s' $(seq 8000))"
check cut "$work/json" 4096

begin "a name that looks like the fields behind it in /proc/PID/stat"
named='import ctypes, os, socket, sys, time
ctypes.CDLL(None).prctl(15, b"a) R 1 (b", 0, 0, 0)
while not os.path.exists(sys.argv[1]):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", 20))
    time.sleep(0.02)'
until_shown 20 "${t[@]}" -- python3 -c "$named" "$work/go"
[ "$(checked check get "$work/json" net_connect process_comm && sort -u "$work/checked")" = "a) R 1 (b" ] ||
	fail "$(head -c 2000 "$work/json")"

begin "a process that executes another program"
until_shown 22 "${t[@]}" -- bash -c ': >/dev/udp/127.0.0.1/21; exec "$@"' bash python3 -c "${named/20/22}" "$work/go"
check not_program "$work/json" 21 "$python"
checked check program "$work/json" 22 "$python" python3 -c "${named/20/22}" "$work/go" ||
	# a shim of a Python version manager executes the interpreter by its path
	says "\"exe\":\"$python\"" "$work/json"

begin "a process that has ended, also if another process has its number"
mkdir "$parent/mine"
trace_mine
kill -STOP "$pid"
wait_for is_stopped "$pid"
in_cgroup "$parent/mine" bash -c 'echo $$; : >/dev/udp/127.0.0.1/20' >"$work/ended"
ended=$(cat "$work/ended")
sleep 0.05 # so that the other process has another start time
# The same program, so that only the start time differs.
mkfifo "$work/fifo"
python3 - "$ended" "$work/again" "$work/fifo" <<'END' &
import os, sys
wanted = int(sys.argv[1])
for _ in range(10000):
    with open("/proc/sys/kernel/ns_last_pid", "w") as f:
        f.write(str(wanted - 1))
    child = os.fork()
    if not child:
        if os.getpid() == wanted:
            os.execlp("bash", "bash", "-c", ': >"$0"; read -r <>"$1"', *sys.argv[2:])
        os._exit(0)
    if child == wanted:
        break
    os.waitpid(child, 0)
else:
    open(sys.argv[2], "w").close()
END
wait_for test -e "$work/again"
[ "$(readlink "/proc/$ended/exe")" = "$bash" ] || fail "no other process has the number $ended"
kill -CONT "$pid"
wait_for grep -q net_connect "$work/json"
kill -INT "$pid"
ends 0
check no_program "$work/json" 20
kill -KILL "$ended"

begin "a time namespace, in which /proc shows other start times"
if unshare --time --boottime 1000000 --fork true 2>/dev/null; then
	until_shown 20 unshare --time --boottime 1000000 --fork "${t[@]}" -- bash -c "$repeat" "$work/go" 20
	says "\"exe\":\"$bash\",\"args\":[\"bash\",\"-c\"," "$work/json"
else
	echo "left out: unshare cannot make a time namespace"
fi

begin "a PID namespace, with its own /proc and with that of the namespace above"
until_shown 20 unshare --pid --fork --mount-proc "${t[@]}" -- bash -c "$repeat" "$work/go" 20
check program "$work/json" 20 "$bash" bash -c "$repeat" "$work/go" 20
expect 0 unshare --pid --fork "${t[@]}" -- "${once[@]}" 20
check no_program "$work/json" 20
begin "COMMAND is the first process of a PID namespace that was made for it"
expect 0 unshare --pid "${t[@]}" -- sh -c 'echo $$'
[ "$(cat "$work/out")" = 1 ] || fail "PID $(cat "$work/out")"

begin "a process whose arguments cannot be read does not hold up the trace"
if [ -e /dev/fuse ]; then
	mkdir "$work/mount"
	rm -f "$work/json" "$work/ready" "$work/go" "$work/end"
	background "${t[@]}" -- bash -c '"$1" "$2" "$3" "$4"; set -- "$5"; '"${repeat/\$1/24}" "$work/end" \
		"$hold_memory" "$work/mount" "$work/ready" "$work/go"
	wait_for test -e "$work/ready"
	wait_for grep -q '"dst_port":10,' "$work/json"
	touch "$work/go"
	wait_for checked check shows_program "$work/json" 24
	touch "$work/end"
	ends 0
	check no_program "$work/json" 9
	check no_program "$work/json" 10
	events_to_11=$(grep -c '"dst_port":11,' "$work/json" || true)
	[ "$events_to_11" = 1 ] || fail "$events_to_11 events after the lock was released"
else
	echo "left out: the kernel has no FUSE"
fi

# ---- The cgroup --------------------------------------------------------------------

# These two ways to find a cgroup by its number are both tried.
for how in env "setpriv --bounding-set=-dac_read_search --inh-caps=-dac_read_search"; do
	inner=$parent/mine/$'in\e"ner (deleted)/2'
	mkdir -p "$inner"
	begin "the path of a cgroup below the traced one: $how"
	# shellcheck disable=SC2086 # words
	trace_mine $how
	in_cgroup "$inner" "${once[@]}" 20
	wait_for grep -q net_connect "$work/json"
	kill -INT "$pid"
	ends 0
	check cgroup "$work/json" "$inner"

	begin "a cgroup that is gone: $how"
	# shellcheck disable=SC2086 # words
	trace_mine $how
	kill -STOP "$pid"
	wait_for is_stopped "$pid"
	in_cgroup "$inner" "${once[@]}" 20
	wait_for rmdir "$inner"
	kill -CONT "$pid"
	wait_for grep -q net_connect "$work/json"
	kill -INT "$pid"
	ends 0
	check cgroup "$work/json" ""
	rmdir "${inner%/2}"
done

begin "the traced cgroup itself, named by a relative path"
rm -f "$work/json"
background env -C "$parent" "$(realpath "$trace")" --json -o "$work/json" --cgroup mine
wait_for grep -q ebpf_attached "$work/json"
in_cgroup "$parent/mine" "${once[@]}" 20
wait_for grep -q net_connect "$work/json"
kill -INT "$pid"
ends 0
check cgroup "$work/json" "$parent/mine"
rmdir "$parent/mine"

finish

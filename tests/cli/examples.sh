#!/usr/bin/env bash
# Runs each small program of examples/ on the real kernel and checks its output.
# Usage: examples.sh DIRECTORY-OF-THE-PROGRAMS; exit status 77: skipped, not root.
set -euo pipefail

programs=$1
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

cgroup=$parent/examples
mkdir "$cgroup"

# inside COMMAND...: runs it in $cgroup
# shellcheck disable=SC2016 # expanded by the inner shell
inside() { sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$cgroup" "$@"; }

# attached: whether the program in the background reports connections; tries one to 127.0.0.3
# shellcheck disable=SC2016 # expanded by the inner shell
attached() {
	inside bash -c '(exec 3<>/dev/tcp/127.0.0.3/9) 2>/dev/null' || true
	grep -q '127\.0\.0\.3' "$work/out"
}

matches() { grep -qE -- "$1" "$2" || fail "no '$1' in: $(cat "$2")"; }

# One connection to a listener, one to a port without a listener, one datagram.
cat >"$work/client.py" <<'PYTHON'
import socket

with socket.create_server(("127.0.0.1", 0)) as listener:
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as client, listener.accept()[0] as server:
        client.sendall(b"12345")
        server.recv(5, socket.MSG_WAITALL)
        server.sendall(b"123")
        client.recv(3, socket.MSG_WAITALL)
        client.shutdown(socket.SHUT_RDWR)
        server.recv(1)
with socket.socket() as client:
    client.connect_ex(("127.0.0.1", port))  # nobody listens any more
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.sendto(b"x", ("127.0.0.2", 9))
print(port)
PYTHON
client() { "$@" python3 "$work/client.py" >"$work/port" && port=$(cat "$work/port"); }

# background NAME ARGUMENT...: starts the program and waits until it is attached
background() {
	"$programs/$1" "${@:2}" <"$work/input" >"$work/out" 2>"$work/err" 8<&- &
	pid=$!
	started+=("$pid")
	wait_for attached
}

mkfifo "$work/input"
exec 8<>"$work/input"

begin "minimal: one line per connection"
background minimal "$cgroup"
client inside
wait_for grep -q '127\.0\.0\.2' "$work/out"
kill "$pid"
ends 143
[ "$(grep -cE "^process [0-9]+: 127\.0\.0\.1 port $port\$" "$work/out")" -eq 2 ] || fail "$(cat "$work/out")"
matches '^process [0-9]+: 127\.0\.0\.2 port 9$' "$work/out"
expect 1 "$programs/minimal"
says cgroup_fd

# A name server that answers questions for www.example.org, and says of other names that they do not exist.
cat >"$work/name_server.py" <<'PYTHON'
import socket
import struct

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    while True:
        message, peer = server.recvfrom(512)
        found = b"\3www" in message
        answer = message[:2] + struct.pack(">5H", 0x8180 if found else 0x8183, 1, int(found), 0, 0) + message[12:]
        if found:
            answer += struct.pack(">HHHIH4B", 0xC00C, 1, 1, 300, 4, 127, 0, 0, 1)
        server.sendto(answer, peer)
PYTHON
cat >"$work/resolve.py" <<'PYTHON'
import contextlib
import socket
import struct
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.connect(("127.0.0.1", int(sys.argv[1])))
    for label in b"nowhere", b"www":
        name = bytes([len(label)]) + label + b"\7example\3org\0"
        sock.send(struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1))
        answer = sock.recv(512)
with socket.socket() as sock, contextlib.suppress(ConnectionRefusedError):
    sock.connect((socket.inet_ntoa(answer[-4:]), 9))
PYTHON

begin "names: the name of each connection, and look-ups that failed"
python3 "$work/name_server.py" >"$work/dns_port" 8<&- &
server=$!
started+=("$server")
wait_for test -s "$work/dns_port"
dns_port=$(cat "$work/dns_port")
background names "$cgroup" 127.0.0.1 "$dns_port"
inside python3 "$work/resolve.py" "$dns_port"
wait_for grep -q ' www\.example\.org ' "$work/out"
kill "$server" "$pid"
ends 143
matches '^process [0-9]+: nowhere\.example\.org \(dns\): no address, response code 3$' "$work/out"
matches '^process [0-9]+: 127\.0\.0\.1 port 9 www\.example\.org \(dns\)$' "$work/out"
matches "^process [0-9]+: 127\.0\.0\.1 port $dns_port without a name\$" "$work/out"
expect 1 "$programs/names" /proc
says names
expect 2 "$programs/names"

begin "epoll_loop: events and the end of the input"
background epoll_loop "$cgroup"
client inside
wait_for grep -q '127\.0\.0\.2' "$work/out"
echo "ignored input" >&8
exec 8<&- # the end of the input
ends 0
[ "$(grep -cE "^session 1, process [0-9]+: connect 127\.0\.0\.1 port $port\$" "$work/out")" -eq 2 ] ||
	fail "$(cat "$work/out")"
matches '^session 1, process [0-9]+: udp_send 127\.0\.0\.2 port 9$' "$work/out"
expect 2 "$programs/epoll_loop"

begin "lifecycle: how each connection ended"
exec 8<>"$work/input"
background lifecycle "$cgroup"
client inside
wait_for grep -q "connect_failed 127\.0\.0\.1" "$work/out"
kill "$pid"
ends 0
matches "^socket [0-9]+ connect 127\.0\.0\.1 port $port\$" "$work/out"
matches "^socket [0-9]+ connected 127\.0\.0\.1 port $port, after [0-9]+\.[0-9] ms\$" "$work/out"
matches "^socket [0-9]+ closed 127\.0\.0\.1 port $port: 5 bytes sent, 3 bytes received, after [0-9.]+ ms\$" "$work/out"
matches "^socket [0-9]+ connect_failed 127\.0\.0\.1 port $port: Connection refused, after [0-9.]+ ms\$" "$work/out"
expect 1 "$programs/lifecycle"
says "usage: "

begin "run_in_cgroup: traces a command from its start, and removes the cgroup"
expect 0 client "$programs/run_in_cgroup"
[ "$(grep -cE "^python3?[^ ]*\[[0-9]+\]: connect 127\.0\.0\.1 port $port\$" "$work/err")" -eq 2 ] || fail "$(cat "$work/err")"
matches '^python3?[^ ]*\[[0-9]+\]: udp_send 127\.0\.0\.2 port 9$' "$work/err"
expect 3 "$programs/run_in_cgroup" sh -c 'exit 3'
expect 127 "$programs/run_in_cgroup" agentsh-no-such-command
[ -z "$(find "$root" -name 'run-in-cgroup.*')" ] || fail "a cgroup is left behind"

begin "probe: checks, hints and hooks"
expect 0 "$programs/probe"
matches '^ringbuf +available ' "$work/out"
matches '^hooks that work: connect ' "$work/out"
expect 1 setpriv --bounding-set=-all --inh-caps=-all -- "$programs/probe"
matches '^tracing is impossible: CAP_BPF' "$work/out"
matches '^ +\(required\) +hint: ' "$work/out"

begin "host_test: passes, with privileges and without"
expect 0 "$programs/host_test"
expect 0 setpriv --bounding-set=-all --inh-caps=-all -- "$programs/host_test"
[ "$(cat "$work/out")" = passed ] || fail "$(cat "$work/out")"

rmdir "$cgroup"
finish

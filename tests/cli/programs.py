# SPDX-License-Identifier: Apache-2.0
"""The two ends of programs.sh.

programs.py server LOG  an HTTP server that counts bytes; prints its port, ends with stdin
programs.py check LOG EVENTS CONNECTIONS  both say the same
programs.py refused EVENTS  one attempt, which failed
"""

import json
import socket
import sys
import threading

BODY = b"x" * 50000


class Connection(threading.Thread):
    """One connection: counts what passes, whatever it is."""

    def __init__(self, sock, peer, log, lock):
        super().__init__(daemon=True)
        self.sock, self.port, self.log, self.lock = sock, peer[1], log, lock
        self.received = self.sent = 0

    def request(self):
        """Reads one request with its body, or None at the end."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = self.sock.recv(65536)
            if not part:
                return None
            self.received += len(part)
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        while len(body) < size:
            part = self.sock.recv(65536)
            if not part:
                return None
            self.received += len(part)
            body += part
        return head

    def run(self):
        try:
            while True:
                head = self.request()
                if head is None:
                    break
                close = b"connection: close" in head.lower()
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (
                    len(BODY),
                    b"Connection: close\r\n" if close else b"",
                ) + BODY
                self.sock.sendall(answer)
                self.sent += len(answer)
                if close:
                    break
        except ConnectionError:
            pass
        line = {"port": self.port, "received": self.received, "sent": self.sent}
        with self.lock, open(self.log, "a", encoding="ascii") as log:
            log.write(json.dumps(line) + "\n")
        self.sock.close()


def server(log):
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    lock = threading.Lock()

    def accept():
        while True:
            sock, peer = listener.accept()
            Connection(sock, peer, log, lock).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


def lines(path):
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]


def check(log, events, connections):
    served = {line["port"]: line for line in lines(log)}
    tcp = [event for event in lines(events) if event["protocol"] == "tcp"]
    by_socket = {}
    for event in tcp:
        by_socket.setdefault(event["cookie"], []).append(event)
    assert len(served) == connections, f"{len(served)} connections served"
    assert len(by_socket) == connections, f"{len(by_socket)} sockets in the events"
    for life in by_socket.values():
        kinds = [event["kind"] for event in life]
        assert kinds == ["connect", "connected", "closed"], kinds
        end = life[2]
        truth = served[end["local_port"]]
        assert end["sent"] == truth["received"], (end, truth)
        assert end["received"] == truth["sent"], (end, truth)
        assert end["flags"] in (16, 32), end  # one of the two sides ended it, in good order
        assert end["error"] == 0, end
        assert end["duration_ns"] > life[1]["duration_ns"] > 0, life
        assert len({event["tgid"] for event in life}) == 1, life
    print(f"{connections} connections, {sum(t['sent'] for t in served.values())} bytes")


def refused(events):
    tcp = [event for event in lines(events) if event["protocol"] == "tcp"]
    assert [event["kind"] for event in tcp] == ["connect", "connect_failed"], tcp
    assert tcp[1]["error"] == 111, tcp[1]
    print("refused")


if __name__ == "__main__":
    if sys.argv[1] == "server":
        server(sys.argv[2])
    elif sys.argv[1] == "check":
        check(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        refused(sys.argv[2])

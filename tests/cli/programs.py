# SPDX-License-Identifier: Apache-2.0
"""The server and the checks of programs.sh.

programs.py server LOG                    runs an HTTP server that counts bytes, until stdin ends;
                                          prints its port, and writes one JSON object per
                                          connection to LOG
programs.py check LOG EVENTS CONNECTIONS  compares the events with the counts of the server
programs.py refused EVENTS                expects one attempt, which was refused
"""

import json
import socket
import sys
import threading

BODY = b"x" * 50000


class Connection(threading.Thread):
    """Serves one connection and counts its bytes."""

    def __init__(self, sock, peer, log, lock):
        super().__init__(daemon=True)
        self.sock, self.port, self.log, self.lock = sock, peer[1], log, lock
        self.received = self.sent = 0

    def request(self):
        """Reads a request with its body and returns its head; None at the end of the connection."""
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
    for group in by_socket.values():
        kinds = [event["kind"] for event in group]
        assert kinds == ["connect", "connected", "closed"], kinds
        end = group[2]
        counted = served[end["local_port"]]
        assert end["sent"] == counted["received"], (end, counted)
        assert end["received"] == counted["sent"], (end, counted)
        assert end["flags"] in (16, 32), end  # LOCAL_CLOSED or REMOTE_CLOSED: an orderly close
        assert end["error"] == 0, end
        assert end["duration_ns"] > group[1]["duration_ns"] > 0, group
        assert len({event["tgid"] for event in group}) == 1, group
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

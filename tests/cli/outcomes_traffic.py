#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The clients and servers of outcomes.sh.

outcomes_traffic.py serve PORT SERVED  a server that writes its port to the file PORT, and at the
                                       end of each connection its counts to SERVED, as one JSON
                                       object per connection
outcomes_traffic.py client PORT SERVED SAYS
                                       makes one connection of each kind; writes the expected
                                       events to SAYS, as one JSON object per socket
outcomes_traffic.py both               connects to a listener in the same process
outcomes_traffic.py slow PORT          a server that reads only after the client's process ended
outcomes_traffic.py leave PORT SAYS    fills a connection to the slow server, closes it and ends
outcomes_traffic.py abandon PORT       connects and ends; a child keeps the socket for a while
"""
import json
import os
import socket
import struct
import sys
import threading
import time

SO_COOKIE = 57
DEADLINE = 60  # seconds until a test that hangs fails
BODY = b"b" * 5000


def append(path, obj):
    with open(path, "a") as f:
        f.write(json.dumps(obj) + "\n")


def serve_one(conn, peer, served):
    """The first line contains three words: bytes that follow, bytes to send, who closes first."""
    data, sent = b"", 0
    try:
        while b"\n" not in data:
            piece = conn.recv(65536)
            if not piece:
                break
            data += piece
    except ConnectionResetError:
        return
    first = data.split(b"\n")[0].split()
    received = len(data)
    if first and first[0] == b"GET":
        while b"\r\n\r\n" not in data:
            data += conn.recv(65536)
        received = len(data)
        reply = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
        conn.sendall(reply)
        sent, closer = len(reply), b"server"
    elif first:
        want, give, closer = len(data.split(b"\n")[0]) + 1 + int(first[0]), int(first[1]), first[2]
        while received < want:
            received += len(conn.recv(65536))
        conn.sendall(b"s" * give)
        sent = give
    else:
        closer = b"client"
    try:
        while closer == b"client":
            piece = conn.recv(65536)
            received += len(piece)
            if not piece:
                break
    except ConnectionResetError:
        pass
    conn.close()
    append(served, {"port": peer[1], "received": received, "sent": sent})


def serve(port_file, served):
    open(served, "w").close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say_port(port_file, listener)
        while True:
            conn, peer = listener.accept()
            threading.Thread(target=serve_one, args=(conn, peer, served), daemon=True).start()


def served_says(path, port):
    """Waits until the server has written its counts for the connection from that port."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        for line in open(path).read().splitlines():
            if json.loads(line)["port"] == port:
                return
        time.sleep(0.002)
    sys.exit(f"the server has not closed the connection from port {port}")


def cookie(sock):
    return struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def unused_port():
    """A socket, and its port that refuses connections: it is bound but does not listen."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


def talk(sock, give, want, closer):
    line = f"{give} {want} {closer}\n".encode()
    sock.sendall(line + b"c" * give)
    got = 0
    while got < want:
        got += len(sock.recv(65536))
    while closer == "server" and sock.recv(65536):
        pass


def client(port, served, says):
    tcp = ["net_connect", "net_connected", "net_closed"]
    for closer, give, want in ("client", 3000, 20000), ("server", 0, 100), ("client", 70000, 0):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            said = {"socket_cookie": cookie(sock), "kinds": tcp, "port": sock.getsockname()[1],
                    "dst_port": port,
                    "closed_by": {"client": "local", "server": "remote"}[closer]}
            talk(sock, give, want, closer)
        served_says(served, said["port"])
        append(says, said)

    with socket.create_connection(("127.0.0.1", port)) as sock:  # ends with a reset
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        append(says, {"socket_cookie": cookie(sock), "kinds": tcp, "dst_port": port,
                      "closed_by": None})

    keep, closed = unused_port()
    with keep, socket.socket() as sock:
        if not sock.connect_ex(("127.0.0.1", closed)):
            sys.exit("a port without a listener took a connection")
        append(says, {"socket_cookie": cookie(sock), "kinds": ["net_connect", "net_connect_failed"],
                      "dst_port": closed, "error_name": "ECONNREFUSED", "error": 111})

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(3):
            sock.sendto(b"x", ("127.0.0.1", 9))
        append(says, {"socket_cookie": cookie(sock), "kinds": ["net_udp_send", "net_closed"],
                      "dst_port": 9, "datagrams": 3})
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.connect(("::1", 9))
        append(says, {"socket_cookie": cookie(sock), "kinds": ["net_connect", "net_closed"],
                      "dst_port": 9, "datagrams": 0})


def both():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()[:2]) as sock:
            conn = listener.accept()[0]
            sock.sendall(b"12345")
            conn.recv(5, socket.MSG_WAITALL)
            sock.close()
            conn.recv(1)
            conn.close()


def say_port(port_file, listener):
    with open(port_file + ".new", "w") as f:
        f.write(str(listener.getsockname()[1]))
    os.rename(port_file + ".new", port_file)


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def slow(port_file):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say_port(port_file, listener)
        with listener.accept()[0] as conn:
            pid = int(conn.recv(10, socket.MSG_WAITALL))
            while runs(pid):
                time.sleep(0.01)
            while conn.recv(65536):
                pass


def leave(port, says):
    """Fills the buffers of both sides, so that the close waits until the server reads."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sent = sock.send(b"%10d" % os.getpid())
        sock.setblocking(False)
        try:
            while True:
                sent += sock.send(b"x" * 65536)
        except BlockingIOError:
            pass
        append(says, {"socket_cookie": cookie(sock), "sent": sent})


def abandon(port):
    with socket.create_connection(("127.0.0.1", port)):
        if not os.fork():
            time.sleep(5)


def main(what, *args):
    if what in ("client", "leave", "abandon"):
        {"client": client, "leave": leave, "abandon": abandon}[what](int(args[0]), *args[1:])
    else:
        {"serve": serve, "both": both, "slow": slow}[what](*args)


if __name__ == "__main__":
    main(*sys.argv[1:])

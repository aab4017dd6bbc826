# SPDX-License-Identifier: Apache-2.0
"""Traces real programs with real resolvers; see resolvers.sh.

resolvers.py CONNECTION-LINES WORK BIN   runs in network and mount namespaces of its own
"""

import json
import os
import shutil
import subprocess
import sys
import time

import resolvers_servers
from resolvers_servers import PORT, TLS_PORT

LINES, WORK, BIN = sys.argv[1:4]

PERL = """
use IO::Socket::INET;
my $s = IO::Socket::INET->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1]) or die "$@";
print $s "GET / HTTP/1.1\\r\\nHost: $ARGV[0]\\r\\nConnection: close\\r\\n\\r\\n";
1 while <$s>;
"""
PYTHON = """
import sys, urllib.request
urllib.request.urlopen(f"http://{sys.argv[1]}:{sys.argv[2]}/").read()
"""
# dns.lookup() calls getaddrinfo(); dns.resolve4() is c-ares, which asks by itself.
NODE = """
const http = require('http'), dns = require('dns');
const [name, port] = process.argv.slice(1);
const resolve = (host, options, done) => dns.resolve4(host, (error, list) => options.all ?
	done(error, (list || []).map(address => ({ address, family: 4 }))) : done(error, list && list[0], 4));
const lookup = process.env.CARES ? resolve : dns.lookup;
http.get({ host: name, port, lookup, agent: false }, r => r.resume());
"""


def have(program):
    return shutil.which(program, path=BIN + ":" + os.environ["PATH"])


def programs():
    """Name, program that must exist, and the command, with the name and the port left open."""
    url = f"http://%s:{PORT}/"
    port = str(PORT)
    return [
        ("curl", "curl", ["curl", "-sS", "--noproxy", "*", url]),
        ("wget", "wget", ["wget", "--no-proxy", "-qO-", url]),
        ("perl", "perl", ["perl", "-e", PERL, "%s", port]),
        ("python3", "python3", ["python3", "-c", PYTHON, "%s", port]),
        ("node", "node", ["node", "-e", NODE, "%s", port]),
        ("node-cares", "node", ["env", "CARES=1", "node", "-e", NODE, "%s", port]),
        ("go", "go", ["env", "GODEBUG=netdns=go", f"{BIN}/go", "%s", port]),
        ("go-cgo", "go", ["env", "GODEBUG=netdns=cgo", f"{BIN}/go", "%s", port]),
        ("java", "java", ["java", "-cp", BIN, "Client", "%s", port]),
        ("busybox", "busybox", ["busybox", "wget", "-qO-", url]),
        ("glibc", "glibc", [f"{BIN}/glibc", "%s", port]),
        ("static-glibc", "static-glibc", [f"{BIN}/static-glibc", "%s", port]),
        ("static-musl", "static-musl", [f"{BIN}/static-musl", "%s", port]),
    ]


def built(name, program):
    if program in ("go", "glibc", "static-glibc", "static-musl"):
        return os.path.exists(f"{BIN}/{program}")
    if name == "java":
        return have("java") and os.path.exists(f"{BIN}/Client.class")
    return have(program)


def trace(command, check=True):
    """Runs the command in a session; returns its events."""
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    result = subprocess.run(
        [LINES, "--names", *command], capture_output=True, text=True, timeout=120, env=environment
    )
    if check and result.returncode:
        raise AssertionError(f"status {result.returncode}: {result.stderr[-2000:]}")
    return [json.loads(line) for line in result.stdout.splitlines()]


def connection(events, port=PORT):
    """The events of connections to the server, of which there is at least one that ended."""
    found = [e for e in events if e["remote_port"] == port and e["protocol"] == "tcp"]
    kinds = {e["kind"] for e in found}
    assert {"connect", "connected", "closed"} <= kinds, (kinds, events)
    return found


def check_dns(events, asked, owner, sources=("dns", "dns_tcp"), port=PORT):
    for e in connection(events, port):
        assert e["asked"] == asked, (e["kind"], e["asked"], asked)
        assert e["owner"] == owner, (e["kind"], e["owner"], owner)
        assert e["source"] in sources, e
        assert e["asker"], e


def check_server_name(events, name, source, alpn="", port=PORT):
    """Of one connection at least: some programs connect twice and use one."""
    told = [e for e in connection(events, port) if e["kind"] == "server_name"]
    assert told, events
    for e in told:
        assert e["server_name"] == name, e
        assert e["server_name_source"] == source, e
        assert e["alpn"] == alpn, (e["alpn"], alpn)
        assert not e["name_flags"] & 64, e  # DIFFERS
    sockets = {e["cookie"] for e in told}
    for e in connection(events, port):
        if e["kind"] == "closed" and e["cookie"] in sockets:
            assert e["server_name"] == name, e


failures = 0
done = 0


def attempt(title, function, *args):
    global failures, done
    start = time.monotonic()
    try:
        function(*args)
        done += 1
        print(f"{title}: right, {time.monotonic() - start:.1f} s", flush=True)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        failures += 1
        print(f"FAILED: {title}: {error}", flush=True)


def one_program(name, command):
    host = f"www.{name}.test"
    events = trace([part.replace("%s", host) for part in command])
    check_dns(events, host, f"{name}.test")
    check_server_name(events, host, "http")


def truncated(_):
    """31 addresses do not fit into 512 bytes, so the C library asks again over TCP."""
    events = trace(["python3", "-c", PYTHON, "many.test", str(PORT)])
    check_dns(events, "many.test", "many.test", ("dns_tcp",))


def hosts_file(_):
    """The name stands in /etc/hosts: no packet has it, but the request has."""
    events = trace(["curl", "-sS", "--noproxy", "*", f"http://hosts-file.test:{PORT}/"])
    for e in connection(events):
        assert not e["asked"], e
    check_server_name(events, "hosts-file.test", "http")


def unknown(_):
    events = trace(["curl", "-sS", "--noproxy", "*", f"http://absent.test:{PORT}/"], check=False)
    assert not [e for e in events if e["remote_port"] == PORT], events
    assert [e for e in events if e["remote_port"] == 53], events


def tls(command, alpn):
    events = trace(command)
    check_dns(events, "tls.test", "tls.test", port=TLS_PORT)
    check_server_name(events, "tls.test", "tls", alpn, port=TLS_PORT)


def tls_clients():
    """A shell closes the input, which s_client and its connection outlive for a moment."""
    at = f"tls.test:{TLS_PORT}"
    s_client = f"openssl s_client -connect {at} -servername tls.test"
    yield "openssl s_client", "openssl", [
        "sh", "-c", f"{s_client} -alpn h2,http/1.1 </dev/null >/dev/null"], "h2,http/1.1"
    yield "openssl s_client, TLS 1.2", "openssl", [
        "sh", "-c", f"{s_client} -tls1_2 </dev/null >/dev/null"], ""
    yield "curl, TLS", "curl", [
        "curl", "-sSk", "--noproxy", "*", "--http1.1", f"https://{at}/"], "http/1.1"
    yield "python3, TLS", "python3", [
        "python3", "-c", f"""
import socket, ssl
context = ssl._create_unverified_context()
context.set_alpn_protocols(["h2", "http/1.1"])
with socket.create_connection(("tls.test", {TLS_PORT})) as s:
    with context.wrap_socket(s, server_hostname="tls.test"): pass
"""], "h2,http/1.1"


def main():
    servers = resolvers_servers.Servers(WORK, [name for name, _, _ in programs()])
    try:
        for resolver in servers.resolvers():
            for name, program, command in programs():
                if built(name, program):
                    attempt(f"{resolver}, {name}", one_program, name, command)
                elif program not in ("go", "java", "glibc", "static-glibc", "static-musl"):
                    print(f"left out: {name}: {program} is not installed")
            attempt(f"{resolver}, truncated", truncated, None)
            attempt(f"{resolver}, hosts file", hosts_file, None)
            attempt(f"{resolver}, NXDOMAIN", unknown, None)
        if have("openssl"):
            servers.start_tls()
            for title, program, command, alpn in tls_clients():
                if have(program):
                    attempt(title, tls, command, alpn)
        else:
            print("left out: TLS: openssl is not installed")
    finally:
        servers.stop()
    print(f"{done} right, {failures} failed")
    sys.exit(bool(failures or not done))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The servers of resolvers.py: dnsmasq and unbound with a zone of their own, HTTP, and TLS.

The files in /etc that the C libraries read are replaced in a mount namespace.
"""

import http.server
import os
import shutil
import socket
import subprocess
import threading
import time

PORT, TLS_PORT = 8080, 8443
RESOLVERS = {"dnsmasq": "127.0.53.1", "unbound": "127.0.53.2"}
DEADLINE = 60


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"ok\n")
        self.close_connection = True

    def log_message(self, *args):
        pass


class DualServer(http.server.ThreadingHTTPServer):
    """Listens on all addresses of both families."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Servers:
    def __init__(self, work, names):
        """Each program has a name of its own, with an alias; the aliases are asked for."""
        self.work, self.running = work, []
        self.hosts = {name: f"127.0.20.{i + 1}" for i, name in enumerate(names)}
        self.hosts["tls"] = "127.0.21.1"
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        self.replace("/etc/hosts", "127.0.0.1 localhost\n127.0.22.1 hosts-file.test\n")
        self.replace("/etc/nsswitch.conf", "hosts: files dns\n")
        server = DualServer(("::", PORT), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def write(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def replace(self, target, text):
        """Puts another file in the place of the target, for this mount namespace only."""
        path = self.write(target.strip("/").replace("/", "-"), text)
        subprocess.run(["mount", "--bind", path, os.path.realpath(target)], check=True)

    def many(self):
        return [f"127.0.23.{i}" for i in range(1, 32)]

    def start(self, command):
        """Starts a server that does not outlive this process, even if the process is killed."""
        command = ["setpriv", "--pdeathsig", "KILL", *command]
        with open(os.path.join(self.work, "servers.log"), "ab") as log:
            self.running.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def start_dnsmasq(self, address):
        command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="]
        command += ["--user=root", "--group=root", "--no-resolv", "--no-hosts", "--bind-interfaces"]
        command += [f"--listen-address={address}", "--except-interface=none", "--local=/test/"]
        for name, ip in self.hosts.items():
            command.append(f"--host-record={name}.test,{ip}")
            command.append(f"--cname=www.{name}.test,{name}.test")
        command += [f"--host-record=many.test,{ip}" for ip in self.many()]
        self.start(command)

    def start_unbound(self, address):
        zone = "$ORIGIN test.\n$TTL 60\n@ SOA ns.test. root.test. 1 60 60 60 60\n@ NS ns.test.\n"
        zone += f"ns A {address}\n"
        for name, ip in self.hosts.items():
            zone += f"{name} A {ip}\nwww.{name} CNAME {name}\n"
        zone += "".join(f"many A {ip}\n" for ip in self.many())
        config = f"""server:
  interface: {address}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{self.work}"
  use-syslog: no
  module-config: "iterator"
  minimal-responses: yes
  local-zone: "test." nodefault
auth-zone:
  name: "test."
  zonefile: "{self.write("test.zone", zone)}"
  for-downstream: yes
  for-upstream: no
remote-control:
  control-enable: no
"""
        self.start(["unbound", "-d", "-c", self.write("unbound.conf", config)])

    def resolvers(self):
        """Starts each resolver that is installed, and makes it that of /etc/resolv.conf."""
        for name, address in RESOLVERS.items():
            if not shutil.which(name):
                print(f"left out: {name} is not installed")
                continue
            getattr(self, f"start_{name}")(address)
            self.replace("/etc/resolv.conf", f"nameserver {address}\noptions timeout:5\n")
            self.wait(address, 53)
            yield name

    def start_tls(self):
        key, cert = os.path.join(self.work, "key.pem"), os.path.join(self.work, "cert.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=tls.test", "-days", "2"],
            check=True,
            capture_output=True,
        )
        self.start(
            ["openssl", "s_server", "-accept", str(TLS_PORT), "-key", key, "-cert", cert]
            + ["-alpn", "http/1.1", "-www", "-quiet"]
        )
        self.wait(self.hosts["tls"], TLS_PORT)

    def wait(self, address, port):
        end = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection((address, port), 5).close()
                return
            except OSError:
                if self.running[-1].poll() is not None or time.monotonic() > end:
                    with open(os.path.join(self.work, "servers.log"), encoding="utf-8") as log:
                        raise RuntimeError(f"{self.running[-1].args[3]}: {log.read()}")
                time.sleep(0.05)

    def stop(self):
        for server in self.running:
            server.kill()
            server.wait()

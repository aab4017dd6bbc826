#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/python/agentsh_ebpf.py on the kernel: real connections of a process in a cgroup.

Exit status 77: skipped, because the tests need root.
"""
import asyncio
import errno
import ipaddress
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time

from support import Case, Thread, descriptors, ebpf, in_child, main

if os.geteuid():
    print("skipped: needs root")
    sys.exit(77)

CALLS = pathlib.Path(__file__).with_name("calls.py")
EXAMPLE = pathlib.Path(ebpf.__file__).with_name("names.py")
CGROUPS = ebpf.probe().cgroup2_path
ALL = ebpf.Hook.CONNECT | ebpf.Hook.UDP | ebpf.Hook.LIFECYCLE


def start(cgroup, *arguments, **options):
    """Starts calls.py in the cgroup."""
    def enter():
        with open(cgroup / "cgroup.procs", "w") as file:
            file.write("0")

    # -I: the modules of Python only; no socket is made before the call
    return subprocess.Popen([sys.executable, "-I", CALLS, *map(str, arguments)], preexec_fn=enter,
                            stdout=subprocess.PIPE, text=True, **options)


def ends(process):
    """The last line that calls.py has printed."""
    out, _ = process.communicate()
    if process.returncode:
        raise AssertionError(f"calls.py ended with status {process.returncode}")
    return json.loads(out)


RULES = ebpf.Hook.CONNECT | ebpf.Hook.UDP | ebpf.Hook.RULES


class Live(Case):
    def cgroup(self):
        path = pathlib.Path(tempfile.mkdtemp(prefix="agentsh-test-python.", dir=CGROUPS))
        self.addCleanup(self.remove, path)
        return path

    @staticmethod
    def remove(path):
        """A process that has ended may still be in the cgroup for a moment."""
        while path.exists():
            try:
                path.rmdir()
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                time.sleep(0.01)

    def open(self, **options):
        tracer = ebpf.Tracer(**options)
        self.addCleanup(tracer.close)
        return tracer

    def server(self, family, address):
        """A server outside the cgroup, which answers each connection with 3 bytes."""
        server = socket.create_server((address, 0), family=family)
        self.addCleanup(server.close)

        def serve():
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                with sock:
                    while sock.recv(1000):
                        pass
                    sock.sendall(b"123")

        Thread(serve)
        self.addCleanup(server.shutdown, socket.SHUT_RDWR)
        return server.getsockname()[1]

    def ports(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            closed = server.getsockname()[1]
        return self.server(socket.AF_INET, "127.0.0.1"), self.server(socket.AF_INET6, "::1"), closed

    def compare(self, said, event, cgroup):
        for name in ("pid", "tgid", "ppid", "uid", "gid", "comm", "exe_inode", "socket_cookie", "protocol",
                     "socket_type"):
            self.assertEqual(getattr(event, name), said[name], name)
        self.assertEqual(event.cgroup_id, cgroup.stat().st_ino)
        self.assertEqual(event.session_id, 0x123456789ABCDEF0)
        self.assertEqual([str(event.remote_addr), event.remote_port], said["remote"])
        self.assertEqual(event.family, socket.AF_INET6 if ":" in said["remote"][0] else socket.AF_INET)
        self.assertEqual(ebpf.Flag.V4_MAPPED in event.flags, said["name"] == "mapped")
        self.assertNotIn(ebpf.Flag.UNATTRIBUTED, event.flags)
        self.assertLess(abs(time.time_ns() - event.realtime_ns), 600 * 10**9)

    def asks(self, cgroup):
        """A function that has a process in the cgroup make a call, and returns the number of its error."""
        process = start(cgroup, "rules", stdin=subprocess.PIPE)

        def end():
            process.communicate()  # ends its input
            self.assertEqual(process.returncode, 0)

        self.addCleanup(end)

        def ask(kind, port):
            print(kind, port, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        return ask

    def test_rules(self):
        tracer, cgroup = self.open(hooks=RULES, required_hooks=RULES), self.cgroup()
        port, verdicts = self.server(socket.AF_INET, "127.0.0.1"), ebpf.Verdict
        listed, denied = 7, 8
        rules = [ebpf.Rule("127.0.0.0/8", ebpf.RuleAction.ALLOW, listed, flags=ebpf.RuleFlag.LISTED),
                 ebpf.Rule("127.0.0.0/8", ebpf.RuleAction.DENY, denied)]
        enforced, audited = tracer.create_rules(rules), tracer.create_rules(rules, flags=ebpf.RulesFlag.AUDIT)
        session, ask = tracer.attach(cgroup, rules=enforced), self.asks(cgroup)

        def expect(kind, error, verdict, rule_id):
            self.assertEqual(ask(kind, port), error)
            (event,) = tracer.read()
            self.assertIs(event.kind, ebpf.Kind.CONNECT if kind == "tcp" else ebpf.Kind.UDP_SEND)
            self.assertEqual((event.verdict, event.rule_id, event.remote_port), (verdict, rule_id, port))

        expect("tcp", errno.EPERM, verdicts.DENIED, denied)
        expect("udp", errno.EPERM, verdicts.DENIED, denied)
        for expires in (None, ebpf.boottime_ns() + 3600 * 10**9):
            enforced.list_address(listed, "127.0.0.1", expires)
            expect("tcp", 0, verdicts.ALLOWED, listed)
        enforced.list_address(listed, "127.0.0.1", ebpf.boottime_ns())
        expect("tcp", errno.EPERM, verdicts.DENIED, denied)
        enforced.unlist_address(listed, "127.0.0.1")
        expect("tcp", errno.EPERM, verdicts.DENIED, denied)
        session.set_rules(audited)
        enforced.close()
        expect("tcp", 0, verdicts.WOULD_DENY, denied)
        session.set_rules(None)
        expect("tcp", 0, verdicts.NONE, 0)
        stats = session.stats()
        self.assertEqual((stats.allowed, stats.denied, stats.would_deny), (2, 4, 1))

    def test_strict_rules(self):
        hooks, flag, path = RULES | ebpf.Hook.SOCK_CREATE | ebpf.Hook.EGRESS, ebpf.RulesFlag, ebpf.Path
        tracer, cgroup = self.open(hooks=hooks, required_hooks=hooks), self.cgroup()
        flags, refused = flag.STRICT_SOCKETS | flag.EGRESS, errno.EPERM
        if ebpf.Check.SET_RETVAL in ebpf.probe().available:
            flags, refused = flags | flag.REFUSE, errno.ECONNREFUSED
        else:
            with self.fails(errno.EOPNOTSUPP):
                tracer.create_rules(flags=flag.REFUSE)

        for some, raw in ((flag(0), False), (flag.REFUSE, False), (flag.STRICT_SOCKETS, True), (flag.EGRESS, True),
                          (flags, True)):
            enforced = tracer.coverage(some).enforced
            self.assertIn(path.TCP_CONNECT, enforced)
            self.assertEqual(path.RAW in enforced, raw, some)
        self.assertEqual(tracer.coverage(flags | flag.AUDIT).enforced, set())
        with self.fails(errno.EINVAL):
            tracer.coverage(1 << 20)

        # A server listens, so it is the rules that refuse.
        port, ask, denied = self.server(socket.AF_INET, "127.0.0.1"), self.asks(cgroup), 8
        session = tracer.attach(cgroup)
        self.assertEqual((ask("raw", port), ask("open", port)), (0, 0))
        (event,) = tracer.read()
        self.assertIs(event.verdict, ebpf.Verdict.NONE)
        session.set_rules(tracer.create_rules([ebpf.Rule("127.0.0.0/8", ebpf.RuleAction.DENY, denied)], flags=flags))
        for kind, error, wanted in (("tcp", refused, ebpf.Kind.CONNECT), ("raw", errno.EPERM, ebpf.Kind.SOCKET_DENIED),
                                    ("write", errno.EPERM, ebpf.Kind.PACKET_DENIED)):
            with self.subTest(kind):
                self.assertEqual(ask(kind, port), error)
                (event,) = tracer.read()
                self.assertEqual((event.kind, event.verdict), (wanted, ebpf.Verdict.DENIED))
                self.assertEqual(event.family, socket.AF_INET)
                if kind == "raw":
                    self.assertEqual((event.socket_type, event.protocol), (socket.SOCK_RAW, socket.IPPROTO_ICMP))
                    self.assertEqual((event.local_addr, event.remote_addr, event.rule_id), (None, None, 0))
                    self.assertTrue(event.tgid)
                else:
                    self.assertEqual((str(event.remote_addr), event.remote_port), ("127.0.0.1", port))
                    self.assertEqual(event.rule_id, denied)
        stats = session.stats()
        self.assertEqual((stats.denied, stats.packets_denied, stats.packets_would_deny), (2, 1, 0))
        session.set_rules(tracer.create_rules(default_action=ebpf.RuleAction.DENY,
                                              flags=flag.AUDIT | flag.STRICT_SOCKETS | flag.EGRESS))
        self.assertEqual((ask("raw", port), ask("write", port)), (0, 0))
        stats = session.stats()
        self.assertEqual((stats.would_deny, stats.packets_denied, stats.packets_would_deny), (1, 1, 1))

    def test_rules_when_memory_is_short(self):
        tracer, cgroup = self.open(hooks=RULES, required_hooks=RULES, rules_bytes=65536), self.cgroup()
        port, ask = self.server(socket.AF_INET, "127.0.0.1"), self.asks(cgroup)
        rules = [ebpf.Rule(ipaddress.IPv4Address(0x7f010000 + 2 * number), ebpf.RuleAction.DENY)
                 for number in range(4096)]
        with self.fails(errno.ENOSPC):
            tracer.create_rules(rules)
        session = tracer.attach(cgroup)
        for action, error in ((ebpf.RuleAction.DENY, errno.EPERM), (ebpf.RuleAction.ALLOW, 0)):
            fallback = tracer.create_rules(rules, on_exhaustion=action)
            self.assertEqual(fallback.fallback.errno, errno.ENOSPC)
            session.set_rules(fallback)
            self.assertEqual(ask("tcp", port), error)

    def test_denials_only(self):
        tracer, cgroup = self.open(hooks=RULES, required_hooks=RULES, flags=ebpf.Open.DENIALS_ONLY), self.cgroup()
        port, ask = self.server(socket.AF_INET, "127.0.0.1"), self.asks(cgroup)
        session = tracer.attach(cgroup, rules=tracer.create_rules())
        self.assertEqual(ask("tcp", port), 0)
        session.set_rules(tracer.create_rules(default_action=ebpf.RuleAction.DENY))
        self.assertEqual(ask("tcp", port), errno.EPERM)
        (event,) = tracer.read()
        self.assertEqual((event.verdict, event.rule_id), (ebpf.Verdict.DENIED, 0))
        stats = tracer.stats()
        self.assertEqual((stats.delivered, stats.allowed, stats.denied), (1, 1, 1))

    def test_ways(self):
        tracer, cgroup = self.open(hooks=ALL, required_hooks=ALL), self.cgroup()
        self.assertEqual(tracer.hooks, ALL)
        with tracer.attach(cgroup, session_id=0x123456789ABCDEF0) as session:
            said = ends(start(cgroup, "ways", *self.ports()))
            events = {}
            while sum(list(kinds)[-1] in (ebpf.Kind.CLOSED, ebpf.Kind.CONNECT_FAILED)
                      for kinds in events.values()) < len(said):
                for event in tracer.read():
                    self.assertNotIn(event.kind, events.setdefault(event.socket_cookie, {}))
                    events[event.socket_cookie][event.kind] = event
            self.assertEqual(len(events), len(said))
            k = ebpf.Kind
            expected = {
                "tcp4": [k.CONNECT, k.CONNECTED, k.CLOSED], "tcp6": [k.CONNECT, k.CONNECTED, k.CLOSED],
                "mapped": [k.CONNECT, k.CONNECTED, k.CLOSED], "refused": [k.CONNECT, k.CONNECT_FAILED],
                "udp4": [k.CONNECT, k.CLOSED], "udp6": [k.CONNECT, k.CLOSED],
                "udp4 send": [k.UDP_SEND, k.CLOSED], "udp6 send": [k.UDP_SEND, k.CLOSED],
            }
            sent = {"tcp4": 4, "tcp6": 6, "mapped": 1}
            self.assertEqual([call["name"] for call in said], list(expected))
            for call in said:
                with self.subTest(call["name"]):
                    kinds = events[call["socket_cookie"]]
                    self.assertEqual(list(kinds), expected[call["name"]])
                    self.compare(call, next(iter(kinds.values())), cgroup)
                    if call["name"] in sent:
                        connected, closed = kinds[k.CONNECTED], kinds[k.CLOSED]
                        self.assertEqual([str(connected.local_addr), connected.local_port], call["local"])
                        self.assertEqual((closed.bytes_sent, closed.bytes_received), (sent[call["name"]], 3))
                        self.assertIn(ebpf.Flag.LOCAL_CLOSED, closed.flags)
                        self.assertGreater(closed.duration_ns, connected.duration_ns)
                    elif call["name"] == "refused":
                        self.assertEqual(kinds[k.CONNECT_FAILED].error, errno.ECONNREFUSED)
            stats = session.stats()
            self.assertEqual((stats.delivered, stats.lost), (sum(map(len, expected.values())), 0))

    def test_inbound(self):
        tracer, cgroup = self.open(hooks=ebpf.Hook.ACCEPT), self.cgroup()
        with tracer.attach(cgroup, session_id=3):
            process = start(cgroup, "listen")
            address = json.loads(process.stdout.readline())
            with socket.create_connection(address) as sock:
                sock.sendall(b"12345")
                peer = sock.getsockname()
            said = ends(process)
            accepted = next(tracer)
            self.assertEqual(accepted.kind, ebpf.Kind.ACCEPTED)
            self.assertIn(ebpf.Flag.INBOUND, accepted.flags)
            self.assertEqual((accepted.tgid, accepted.session_id), (said["tgid"], 3))
            self.assertEqual((accepted.remote_addr, accepted.remote_port), (ipaddress.ip_address(peer[0]), peer[1]))
            self.assertEqual([str(accepted.local_addr), accepted.local_port], address)
            closed = next(tracer)
            self.assertEqual((closed.kind, closed.bytes_received), (ebpf.Kind.CLOSED, 5))

    def test_asyncio(self):
        tracer, cgroup = self.open(), self.cgroup()

        async def run():
            with tracer.attach(cgroup):
                # the task waits before the calls are made, and is cancelled once
                task = asyncio.ensure_future(tracer.__anext__())
                while not tracer._waiters:
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                said = asyncio.get_running_loop().run_in_executor(
                    None, lambda: ends(start(cgroup, "ways", *self.ports())))
                got = []
                async for event in tracer:
                    got.append(event.socket_cookie)
                    if len(got) == 8:
                        break
                return got, await said

        before = descriptors()
        got, said = asyncio.run(run())
        self.assertEqual(got, [call["socket_cookie"] for call in said])
        self.doCleanups()
        self.assertLess(len(descriptors()), len(before))

    def test_many_events_and_a_reader(self):
        tracer, cgroup = self.open(flags=ebpf.Open.UDP_NO_DEDUP, ring_quota=100), self.cgroup()
        session = tracer.attach(cgroup)
        count = 20000
        reader = Thread(lambda: [event.remote_port for event in tracer])
        ends(start(cgroup, "flood", count))
        while tracer.stats().delivered + tracer.stats().lost < count:
            time.sleep(0.01)
        stats = session.stats()
        self.assertEqual(stats.delivered + stats.lost, count)
        while tracer._pending or not tracer._reading.locked():
            time.sleep(0.01)
        self.wait_until_read(tracer)
        tracer.close()
        ports = reader.join()
        self.assertEqual(len(ports), stats.delivered)
        if not stats.lost:
            self.assertEqual(ports, [1000 + number for number in range(count)])

    def test_loss_is_counted(self):
        tracer = self.open(flags=ebpf.Open.UDP_NO_DEDUP, ring_size=os.sysconf("SC_PAGE_SIZE"), ring_quota=100)
        cgroup = self.cgroup()
        with tracer.attach(cgroup) as session:
            ends(start(cgroup, "flood", 500))
            got = tracer.read(1000, timeout=0)
            lost = session.stats().lost
            self.assertGreater(lost, 0)
            self.assertEqual(len(got) + lost, 500)
            self.assertEqual(tracer.stats().lost, lost)
            ends(start(cgroup, "flood", 1))
            (event,) = tracer.read()
            self.assertEqual(event.session_lost, lost)

    def test_threads_attach_and_detach_during_a_read(self):
        tracer = self.open()
        reader = Thread(lambda: sorted(event.session_id for event in tracer))
        expected = []

        def use(number):
            for _ in range(3):
                cgroup = self.cgroup()
                with tracer.attach(cgroup, session_id=number):
                    ends(start(cgroup, "ways", *self.ports()))
                    expected.extend([number] * 8)

        threads = [Thread(lambda number=number: use(number)) for number in (1, 2)]
        for thread in threads:
            thread.join()
        while tracer.stats().delivered < len(expected) or tracer._pending:
            time.sleep(0.01)
        self.wait_until_read(tracer)
        self.assertEqual(tracer.stats().sessions, 0)
        tracer.close()
        self.assertEqual(reader.join(), sorted(expected))

    def test_fork(self):
        tracer, cgroup, other = self.open(), self.cgroup(), self.cgroup()
        session = tracer.attach(cgroup)

        def child():
            for call in (lambda: tracer.read(timeout=0), session.check, lambda: tracer.attach(other)):
                with self.fails(errno.EPERM):
                    call()
            tracer.close()

        self.assertEqual(in_child(child), 0)
        said = ends(start(cgroup, "ways", *self.ports()))
        self.assertEqual([event.socket_cookie for event in tracer.read()], [call["socket_cookie"] for call in said])

    def test_a_removed_cgroup(self):
        tracer, cgroup = self.open(check_interval_ms=100), self.cgroup()
        session = tracer.attach(cgroup, session_id=5)
        whole = session.check()
        self.assertEqual((whole.error, whole.hooks), (0, tracer.hooks))
        self.assertEqual((whole.attached, whole.effective), (whole.wanted, whole.wanted))
        self.assertLessEqual({ebpf.Check.CONNECT4, ebpf.Check.CONNECT6}, whole.wanted)
        identity = cgroup.stat().st_ino
        cgroup.rmdir()
        self.assertEqual(session.check().error, errno.ENOENT)
        blind = next(tracer)
        self.assertEqual((blind.kind, blind.error, blind.session_id, blind.cgroup_id),
                         (ebpf.Kind.SESSION_BLIND, errno.ENOENT, 5, identity))
        self.assertIsNone(blind.remote_addr)
        self.assertIn("SESSION_BLIND", repr(blind))

    def test_attach(self):
        tracer, cgroup = self.open(), self.cgroup()
        with self.fails(errno.ENOTDIR, ebpf.Step.CGROUP):
            tracer.attach("/")
        with tracer.attach(os.fspath(cgroup)), self.fails(errno.EEXIST):
            tracer.attach(cgroup)
        fd = os.open(cgroup, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        before = descriptors()
        tracer.attach(fd).detach()
        tracer.attach(os.fsencode(cgroup)).detach()
        with open(cgroup / "cgroup.procs") as file, self.fails(errno.ENOTDIR):
            tracer.attach(file)
        self.assertEqual(descriptors(), before)

    def name_server(self):
        """The port of a name server outside the cgroup, which answers questions whose id is 2."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def serve():
            # www.example.org is an alias of cdn.example.net, which has the address 127.0.0.1
            records = (b"\xc0\x0c" + struct.pack(">2HIH", 5, 1, 60, 17) + b"\3cdn\7example\3net\0" +
                       b"\3cdn\7example\3net\0" + struct.pack(">2HIH", 1, 1, 300, 4) + bytes([127, 0, 0, 1]))
            while True:
                message, peer = server.recvfrom(512)
                if not message:
                    return
                if message[:2] == b"\0\2":
                    server.sendto(b"\0\2" + struct.pack(">5H", 0x8180, 1, 2, 0, 0) + message[12:] + records, peer)

        thread = Thread(serve)
        self.addCleanup(thread.join)
        self.addCleanup(server.sendto, b"", server.getsockname())  # cleanups run in reverse order
        return server.getsockname()[1]

    def test_names(self):
        hooks = ALL | ebpf.Hook.DNS | ebpf.Hook.SERVER_NAME
        unix = ebpf.Hook.UNIX & ebpf.probe().hooks  # kernel 6.7
        dns, http = self.name_server(), self.server(socket.AF_INET, "127.0.0.1")
        cgroup = self.cgroup()
        tracer = self.open(hooks=hooks | unix, required_hooks=hooks, flags=ebpf.Open.DNS_EVENTS, dns_ports=[dns],
                           dns_timeout_ms=3000)
        resolver = ebpf.Resolver(ipaddress.ip_address("127.0.0.1"), dns)
        with tracer.attach(cgroup, trusted_resolvers=[resolver]) as session:
            said = ends(start(cgroup, "resolve", dns, http))
            events = {}
            wanted = {ebpf.Kind.DNS_QUERY, ebpf.Kind.DNS_ANSWER, ebpf.Kind.SERVER_NAME, ebpf.Kind.CLOSED}
            while not wanted <= events.keys():
                for event in tracer.read():
                    if event.remote_port == http or event.kind >= ebpf.Kind.DNS_QUERY:
                        events.setdefault(event.kind, event)
            names = session.name_lookup("127.0.0.1")
            stats = session.stats()
        query, answer = events[ebpf.Kind.DNS_QUERY], events[ebpf.Kind.DNS_ANSWER]
        self.assertEqual((query.name.asked, query.dns), ("silent.example.org", ebpf.Dns(1, 0, ebpf.DnsFlag(0), ())))
        address = ebpf.DnsAddress(ipaddress.ip_address("127.0.0.1"), 300)
        self.assertEqual(answer.dns, ebpf.Dns(1, 0, ebpf.DnsFlag(0), (address,)))
        for event in query, answer:
            self.assertEqual((event.remote_addr, event.remote_port, event.tgid), (*resolver, said["tgid"]))
        for kind in (ebpf.Kind.CONNECT, ebpf.Kind.CONNECTED, ebpf.Kind.SERVER_NAME, ebpf.Kind.CLOSED):
            name = events[kind].name
            self.assertEqual((name.asked, name.owner, name.source, name.asker_tgid, name.resolver),
                             ("www.example.org", "cdn.example.net", ebpf.NameSource.DNS, said["tgid"], resolver), kind)
        for kind in (ebpf.Kind.SERVER_NAME, ebpf.Kind.CLOSED):
            name = events[kind].name
            self.assertEqual((name.server_name, name.server_name_source, name.flags),
                             ("api.example.org", ebpf.NameSource.HTTP, ebpf.NameFlag.DIFFERS), kind)
        self.assertEqual(events[ebpf.Kind.CONNECT].name.server_name, "")
        self.assertEqual([name.asked for name in names], ["www.example.org"])
        self.assertEqual((stats.answers, stats.answers_untrusted, stats.answers_unasked), (1, 0, 0))
        if unix:
            self.assertEqual((events[ebpf.Kind.UNIX_CONNECT].name.asked, events[ebpf.Kind.UNIX_CONNECT].name.source),
                             ("@agentsh-test", ebpf.NameSource.UNIX))

    def test_example_of_names(self):
        dns, http, cgroup = self.name_server(), self.server(socket.AF_INET, "127.0.0.1"), self.cgroup()
        example = subprocess.Popen(
            [sys.executable, EXAMPLE, cgroup, "127.0.0.1", str(dns)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "AGENTSH_EBPF_LIBRARY": os.environ["AGENTSH_EBPF_TEST_LIBRARY"]})
        lines = []
        reader = Thread(lambda: [lines.append(line) for line in example.stdout])
        for cleanup in (example.stdout.close, example.wait, reader.join, example.kill):  # in reverse order
            self.addCleanup(cleanup)
        wanted = set()
        while not wanted & set(lines):  # the first processes may end before the session is attached
            self.assertIsNone(example.poll())
            tgid = ends(start(cgroup, "resolve", dns, http))["tgid"]
            wanted.add(f"process {tgid}: 127.0.0.1 port {http} 'www.example.org' (dns)\n")
        said = f"127.0.0.1 port {http} 'www.example.org' (dns) says 'api.example.org' (http)\n"
        while not any(line.endswith(said) for line in lines):
            self.assertIsNone(example.poll())
            time.sleep(0.01)

    def test_probe_and_coverage(self):
        caps = ebpf.probe()
        self.assertTrue(caps.usable, caps.reason)
        self.assertEqual(caps.reason, "")
        self.assertLessEqual({ebpf.Check.CONNECT4, ebpf.Check.CONNECT6, ebpf.Check.RINGBUF}, caps.available)
        self.assertEqual(ebpf.Status.AVAILABLE, caps.checks[ebpf.Check.CONNECT4].status)
        self.assertIn(ebpf.Hook.CONNECT, caps.hooks)
        self.assertTrue(ebpf.cgroup_path().startswith(caps.cgroup2_path))
        coverage = self.open().coverage()
        self.assertIn(ebpf.Path.TCP_CONNECT, coverage.seen)
        self.assertIn(ebpf.Path.UNIX, coverage.unseen)
        self.assertEqual(coverage.seen | coverage.implied | coverage.unseen, set(ebpf.Path))
        self.assertEqual(coverage.enforced, set())

    def test_log(self):
        lines = []
        tracer = self.open(simulate_missing=[ebpf.Check.BTF], log=lambda level, text: lines.append((level, text)))
        # not the list of all lines, which are hundreds
        self.assertIn((ebpf.LogLevel.INFO, "/sys/kernel/btf/vmlinux is missing (simulated)"), lines[:5])
        tracer.close()
        before = descriptors()

        def log(level, text):
            raise KeyError(text)

        with self.assertRaises(KeyError):
            ebpf.Tracer(simulate_missing=[ebpf.Check.BTF], log=log)
        self.assertEqual(descriptors(), before)
        with self.fails(errno.EINVAL, ebpf.Step.OBJECT_LOAD):
            ebpf.Tracer(simulate_missing=ebpf.Check.CONNECT4, hooks=ebpf.Hook.CONNECT)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names in examples/python/agentsh_ebpf.py with synthetic tracers: no privilege is required."""
import dataclasses
import errno
import ipaddress
import pickle
import socket

from support import Case, ebpf, main

REMOTE = "192.0.2.1"
FULL = ebpf.Name(
    asked="www.example.org", owner="cdn.example.net", source=ebpf.NameSource.DNS, server_name="api.example.org",
    server_name_source=ebpf.NameSource.TLS, alpn="h2,http/1.1", flags=ebpf.NameFlag.DIFFERS, asker_tgid=4711,
    ttl_ns=300 * 10**9, resolver=ebpf.Resolver(ipaddress.ip_address("2001:db8::53"), 5353))


def event(address=REMOTE, tgid=4711, kind=ebpf.Kind.CONNECT, cookie=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ebpf.Event(kind=kind, family=family, protocol=socket.IPPROTO_TCP, remote_addr=address, remote_port=443,
                      tgid=tgid, socket_cookie=cookie)


class Names(Case):
    def read_name(self, tracer, session, sent):
        session.inject(sent)
        (got,) = tracer.read()
        self.assertEqual(bool(got.name_id), got.name is not None)
        return got.name

    def test_all_members_come_back(self):
        for address in (REMOTE, "2001:db8::1"):
            tracer, session = self.synthetic()
            session.inject_name(address, FULL)
            name = self.read_name(tracer, session, event(address))
            self.assertLess(name.age_ns, 600 * 10**9)
            self.assertEqual(dataclasses.replace(name, age_ns=0), FULL)
            self.assertEqual((name.source_name, name.server_name_source_name, name.host),
                             ("dns", "tls", "www.example.org"))
            self.assertIsInstance(name.flags, ebpf.NameFlag)
            self.assertIs(name.source, ebpf.NameSource.DNS)

    def test_no_name(self):
        tracer, session = self.synthetic()
        session.inject_name("192.0.2.2", FULL)
        self.assertIsNone(self.read_name(tracer, session, event()))
        self.assertIsNone(event().name)

    def test_a_name_stays_valid(self):
        tracer, session = self.synthetic()
        session.inject_name(REMOTE, FULL)
        session.inject(event())
        first = next(tracer)
        session.inject_name(REMOTE, dataclasses.replace(FULL, asked="other.example.org"))
        for number in range(600):
            session.inject(event(f"192.0.2.{number % 200 + 2}"))
        self.assertEqual([got.name for got in tracer.read(600)], [None] * 256)
        while tracer.read(timeout=0):
            pass
        self.assertEqual(first.name.asked, "www.example.org")
        self.assertEqual(pickle.loads(pickle.dumps(first)).name, first.name)
        self.assertIsNone(ebpf.Event.from_buffer_copy(first).name)

    def test_names_of_events_that_a_loop_has_left(self):
        tracer, session = self.synthetic()
        addresses = [f"192.0.2.{number}" for number in range(1, 9)]
        for number, address in enumerate(addresses):
            session.inject_name(address, ebpf.Name(asked=f"n{number}.example.org", source=ebpf.NameSource.DNS))
            session.inject(event(address))
        got = [next(tracer) for _ in range(3)] + tracer.read(2) + tracer.read()
        self.assertEqual([each.name.asked for each in got], [f"n{number}.example.org" for number in range(8)])
        self.assertEqual(len({each.name_id for each in got}), 8)

    def test_another_process_asked(self):
        tracer, session = self.synthetic()
        session.inject_name(REMOTE, FULL)
        name = self.read_name(tracer, session, event(tgid=4712))
        self.assertEqual((name.flags, name.asker_tgid),
                         (ebpf.NameFlag.DIFFERS | ebpf.NameFlag.OTHER_PROCESS, 4711))

    def test_shared_address(self):
        tracer, session = self.synthetic()
        for asked, tgid in (("first.example.org", 1), ("second.example.org", 2)):
            session.inject_name(REMOTE, ebpf.Name(asked=asked, owner=asked, source=ebpf.NameSource.DNS,
                                                  asker_tgid=tgid, ttl_ns=10**12))
        for tgid, asked in ((1, "first.example.org"), (2, "second.example.org")):
            name = self.read_name(tracer, session, event(tgid=tgid))
            self.assertEqual((name.asked, name.others, name.flags), (asked, 1, ebpf.NameFlag.SHARED))
        found = session.name_lookup(REMOTE)
        self.assertEqual([name.asked for name in found], ["second.example.org", "first.example.org"])
        self.assertEqual({name.others for name in found}, {1})

    def test_sessions_are_separate(self):
        tracer, session = self.synthetic()
        other = tracer.attach("/", session_id=8)
        session.inject_name(REMOTE, FULL)
        other.name_seed(REMOTE, "seed.example.org")
        for each in (other, session):
            each.inject(event())
        self.assertEqual([(got.session_id, got.name.asked) for got in tracer.read()],
                         [(8, "seed.example.org"), (7, "www.example.org")])

    def test_seed(self):
        tracer, session = self.synthetic()
        session.name_seed(REMOTE, "Host.Example.ORG.")
        name = self.read_name(tracer, session, event())
        self.assertEqual((name.asked, name.source, name.source_name, name.ttl_ns, name.resolver),
                         ("host.example.org", ebpf.NameSource.SEED, "seed", None, None))
        session.name_seed(ipaddress.ip_address(REMOTE), "other.example.org", 60)
        self.assertEqual([(name.asked, name.ttl_ns) for name in session.name_lookup(REMOTE)],
                         [("other.example.org", 60 * 10**9)])
        session.name_seed(REMOTE, None)
        self.assertIsNone(self.read_name(tracer, session, event()))
        self.assertEqual(session.name_lookup(REMOTE), [])

    def test_path(self):
        tracer, session = self.synthetic()
        name = ebpf.Name(asked="www.example.org", source=ebpf.NameSource.UNIX)
        self.assertEqual((name.host, name.source_name), ("", "unix"))
        self.assertEqual(ebpf.Name(server_name="a", server_name_source=ebpf.NameSource.HTTP).host, "a")
        session.inject(ebpf.Event(kind=ebpf.Kind.UNIX_CONNECT, family=socket.AF_UNIX))
        (got,) = tracer.read()
        self.assertEqual((got.kind_name, got.remote_addr, got.name), ("unix_connect", None, None))

    def test_dns(self):
        tracer, session = self.synthetic()
        for kind in (ebpf.Kind.DNS_ANSWER, ebpf.Kind.DNS_QUERY, ebpf.Kind.CONNECT):
            session.inject(event(kind=kind))
        self.assertEqual([got.dns for got in tracer.read()], [None] * 3)  # an injected event has no message
        got = event(kind=ebpf.Kind.DNS_ANSWER)
        got._dns = ebpf._sized(ebpf._Dns, question_type=28, rcode=3, flags=5)
        got._addresses = tuple(ebpf._Address.of(address) for address in ("2001:db8::1", "192.0.2.1"))
        got._addresses[1].ttl_s = 60
        self.assertEqual(got.dns, ebpf.Dns(28, 3, ebpf.DnsFlag.TCP | ebpf.DnsFlag.CUT, (
            ebpf.DnsAddress(ipaddress.ip_address("2001:db8::1"), 0),
            ebpf.DnsAddress(ipaddress.ip_address("192.0.2.1"), 60))))
        self.assertEqual(pickle.loads(pickle.dumps(got)).dns, got.dns)

    def test_errors(self):
        tracer, session = self.synthetic()
        for name in ("", "a" * 256, "a..b"):
            with self.subTest(name), self.fails(errno.EINVAL):
                session.name_seed(REMOTE, name)
        for call in (lambda: session.name_seed(REMOTE, "a\0b"), lambda: session.name_seed("localhost", "a"),
                     lambda: session.inject_name(REMOTE, ebpf.Name(asked="a" * 256)),
                     lambda: tracer.attach("/", trusted_resolvers=["192.0.2.1"] * 5),
                     lambda: ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC, dns_ports=[1] * 5)):
            with self.assertRaises(ValueError):
                call()
        session.detach()
        for call in (lambda: session.name_seed(REMOTE, "a"), lambda: session.name_lookup(REMOTE),
                     lambda: session.inject_name(REMOTE, FULL)):
            with self.fails(errno.EINVAL):
                call()

    def test_every_option_is_passed_on(self):
        """Each option has a value that the library refuses, so an option that got lost is found."""
        tracer, _ = self.synthetic()
        for name, value in (("names_max", 1), ("names_bytes", 1)):
            with self.subTest(name), self.fails(errno.ERANGE, ebpf.Step.OPTIONS) as caught:
                tracer.attach("/", **{name: value})
            self.assertIn(name, caught.exception.message)
        for name, value, code in (("dns_timeout_ms", 1, errno.ERANGE), ("dns_ports", [5353], errno.EINVAL),
                                  ("flags", ebpf.Open.DNS_EVENTS, errno.EINVAL)):
            with self.subTest(name), self.fails(code, ebpf.Step.OPTIONS) as caught:
                ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC, **{name: value})
            self.assertIn(name, caught.exception.message)
        raw = ebpf._Address.of("2001:db8::1", 53)
        self.assertEqual((raw.family, raw.port, str(raw.ip)), (socket.AF_INET6, 53, "2001:db8::1"))
        with tracer.attach("/", names_max=16, names_bytes=4096, trusted_resolvers=["192.0.2.1", ("2001:db8::1", 53)]):
            pass

    def test_statistics(self):
        tracer, session = self.synthetic(ring_quota=100)
        for number in range(1000):
            session.name_seed(f"192.0.{number // 250}.{number % 250}", f"n{number}.example.org")
        stats = session.stats()
        self.assertGreater(stats.names_evicted, 0)
        self.assertEqual((stats.answers, stats.answers_unasked, stats.answers_untrusted, stats.answers_malformed,
                          stats.messages_skipped, stats.packets_lost), (0, 0, 0, 0, 0, 0))
        self.assertEqual(tracer.stats().names_evicted, stats.names_evicted)

    def test_names_of_sources(self):
        self.assertEqual([ebpf.Name(source=source).source_name for source in ebpf.NameSource],
                         [source.name.lower() for source in ebpf.NameSource])
        self.assertEqual(ebpf.Name(source=200).source_name, "unknown")


main()

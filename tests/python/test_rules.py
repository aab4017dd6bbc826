#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of examples/python/agentsh_ebpf.py with synthetic tracers: no privilege is required."""
import errno
import ipaddress
import socket

from support import Case, Thread, ebpf, in_child, main

HOOKS = ebpf.Hook.CONNECT | ebpf.Hook.UDP | ebpf.Hook.RULES
ALLOW, DENY = ebpf.RuleAction.ALLOW, ebpf.RuleAction.DENY
ALLOWED, DENIED, WOULD_DENY = ebpf.Verdict.ALLOWED, ebpf.Verdict.DENIED, ebpf.Verdict.WOULD_DENY
TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
MPTCP = 262


class Rules(Case):
    def synthetic(self, **options):
        return super().synthetic(hooks=HOOKS, **options)

    def test_verdict_comes_back(self):
        tracer, session = self.synthetic()
        session.inject(ebpf.Event(kind=ebpf.Kind.CONNECT, verdict=DENIED, rule_id=2**31))
        session.inject(ebpf.Event(kind=ebpf.Kind.CONNECT, verdict=7))
        denied, unknown = tracer.read()
        self.assertIs(denied.verdict, DENIED)
        self.assertEqual((denied.verdict_name, denied.rule_id), ("denied", 2**31))
        self.assertEqual((unknown.verdict, unknown.verdict_name), (7, "unknown"))
        with self.fails(errno.ERANGE):
            session.inject(ebpf.Event(kind=ebpf.Kind.CLOSED, verdict=DENIED, error=1))
        for verdict in ebpf.Verdict:
            self.assertEqual(ebpf.Event(verdict=verdict).verdict_name, verdict.name.lower())

    def test_judge(self):
        tracer, _ = self.synthetic(rules_bytes=1 << 16, rules_addresses=32)
        now, hour = ebpf.boottime_ns(), 3600 * 10**9
        rules = [
            ebpf.Rule("10.0.0.0/8", DENY, 1, TCP, 80, 90),
            ebpf.Rule(ipaddress.ip_network("10.1.0.0/16"), ALLOW, 2),
            ebpf.Rule("2001:db8::1/32", ALLOW, 3, first_port=443),
            ebpf.Rule("::ffff:192.0.2.0/120", ALLOW, 4),
            ebpf.Rule(None, ALLOW, 5, ebpf.RULE_OTHER_PROTOCOLS),
            ebpf.Rule("198.51.100.1", ALLOW, 6, expires_boottime_ns=now - hour if now > hour else 1),
            ebpf.Rule(ipaddress.ip_address("198.51.100.2"), ALLOW, 7, expires_boottime_ns=now + hour),
        ]
        enforced = tracer.create_rules(rules, default_action=DENY)
        audited = tracer.create_rules(iter(rules), default_action=DENY, flags=ebpf.RulesFlag.AUDIT)
        for address, port, protocol, verdict, rule_id in [
                ("10.1.2.3", 80, TCP, DENIED, 1), ("10.1.2.3", 90, MPTCP, DENIED, 1), ("10.1.2.3", 91, TCP, ALLOWED, 2),
                ("10.1.2.3", 80, UDP, ALLOWED, 2), ("10.2.2.3", 80, UDP, DENIED, 0),
                ("2001:db8::9", 443, TCP, ALLOWED, 3), ("2001:db8::9", 444, TCP, DENIED, 0),
                ("192.0.2.9", 1, UDP, ALLOWED, 4), ("::ffff:192.0.2.9", 1, TCP, ALLOWED, 4),
                ("203.0.113.1", 0, socket.IPPROTO_ICMP, ALLOWED, 5), ("198.51.100.1", 1, TCP, DENIED, 0),
                ("198.51.100.2", 1, TCP, ALLOWED, 7)]:
            with self.subTest(address=address, port=port, protocol=protocol):
                self.assertEqual(enforced.judge(address, port, protocol), (verdict, rule_id))
                verdict = WOULD_DENY if verdict == DENIED else verdict
                self.assertEqual(audited.judge(address, port, protocol), (verdict, rule_id))
        self.assertEqual(tracer.create_rules().judge("192.0.2.1", 1, TCP), (ALLOWED, 0))

    def test_listed_addresses(self):
        tracer, _ = self.synthetic()
        rules = tracer.create_rules([ebpf.Rule(None, ALLOW, 9, flags=ebpf.RuleFlag.LISTED)], default_action=DENY)
        for expires, verdict in ((None, ALLOWED), (1, DENIED), (ebpf.boottime_ns() + 3600 * 10**9, ALLOWED),
                                 (ebpf.boottime_ns(), DENIED), (2**64 - 1, ALLOWED)):
            rules.list_address(9, "192.0.2.1", expires)
            self.assertEqual(rules.judge("192.0.2.1", 1, TCP).verdict, verdict)
            self.assertEqual(rules.judge("192.0.2.2", 1, TCP).verdict, DENIED)
        rules.unlist_address(9, ipaddress.ip_address("192.0.2.1"))
        self.assertEqual(rules.judge("192.0.2.1", 1, TCP), (DENIED, 0))
        with self.fails(errno.ENOENT):
            rules.unlist_address(9, "192.0.2.1")
        with self.fails(errno.ENOENT):
            rules.list_address(8, "192.0.2.1")
        for expires in (0, -1, 2**64):
            with self.assertRaises(ValueError):
                rules.list_address(9, "192.0.2.1", expires)

    def test_exhaustion(self):
        tracer, session = self.synthetic()
        # at most 8 rules for one destination can match listed addresses only
        rules = [ebpf.Rule("192.0.2.1", ALLOW, 1), *[ebpf.Rule(None, ALLOW, 2, flags=ebpf.RuleFlag.LISTED)] * 9]
        with self.fails(errno.ENOSPC, ebpf.Step.RULES):
            tracer.create_rules(rules)
        for action, default, verdict in ((DENY, ALLOW, DENIED), (ALLOW, DENY, ALLOWED)):
            fallback = tracer.create_rules(rules, default_action=default, on_exhaustion=action)
            self.assertEqual((fallback.fallback.errno, fallback.fallback.step), (errno.ENOSPC, ebpf.Step.RULES))
            self.assertIn("10 rules", fallback.fallback.message)
            self.assertEqual(fallback.judge("192.0.2.1", 1, TCP), (verdict, 0))
            session.set_rules(fallback)
            with self.fails(errno.EBUSY):
                fallback.close()
            session.set_rules(None)
            fallback.close()
            whole = tracer.create_rules(rules[:2], default_action=default, on_exhaustion=action)
            self.assertIsNone(whole.fallback)
            self.assertEqual(whole.judge("192.0.2.1", 1, TCP), (ALLOWED, 1))
        with self.fails(errno.ERANGE):
            tracer.create_rules(on_exhaustion=3)
        with self.fails(errno.EINVAL):
            tracer.create_rules([ebpf.Rule(None, 3)], on_exhaustion=DENY)

    def test_helpers(self):
        tracer, _ = self.synthetic()
        rules = tracer.create_rules([*ebpf.rules_resolver("192.0.2.53", rule_id=2),
                                     *ebpf.rules_resolver(ipaddress.ip_address("2001:db8::53"), 5353, 3),
                                     *ebpf.rules_loopback(1)], default_action=DENY)
        for address, port, protocol, judgement in [
                ("127.0.0.1", 1, TCP, (ALLOWED, 1)), ("127.255.255.255", 0, socket.IPPROTO_ICMP, (ALLOWED, 1)),
                ("::1", 1, UDP, (ALLOWED, 1)), ("128.0.0.1", 1, TCP, (DENIED, 0)), ("::2", 1, TCP, (DENIED, 0)),
                ("192.0.2.53", 53, UDP, (ALLOWED, 2)), ("192.0.2.53", 53, TCP, (ALLOWED, 2)),
                ("192.0.2.53", 53, socket.IPPROTO_SCTP, (DENIED, 0)), ("192.0.2.53", 54, UDP, (DENIED, 0)),
                ("192.0.2.54", 53, UDP, (DENIED, 0)), ("2001:db8::53", 5353, TCP, (ALLOWED, 3)),
                ("2001:db8::53", 53, TCP, (DENIED, 0))]:
            with self.subTest(address=address, port=port, protocol=protocol):
                self.assertEqual(rules.judge(address, port, protocol), judgement)
        self.assertEqual(ebpf.rules_resolver("192.0.2.53", rule_id=2),
                         [ebpf.Rule(ipaddress.ip_network("192.0.2.53"), ALLOW, 2, protocol, 53) for protocol in (UDP, TCP)])
        for call in (lambda: ebpf.rules_loopback(2**32), lambda: ebpf.rules_resolver("192.0.2.1", 65536),
                     lambda: ebpf.rules_resolver("192.0.2.1", 53, -1), lambda: ebpf.rules_resolver("example.org")):
            with self.assertRaises(ValueError):
                call()

    def test_flags_need_hooks(self):
        for flag, hook in ((ebpf.RulesFlag.STRICT_SOCKETS, ebpf.Hook.SOCK_CREATE),
                           (ebpf.RulesFlag.EGRESS, ebpf.Hook.EGRESS)):
            with self.fails(errno.EOPNOTSUPP, ebpf.Step.OPTIONS):
                self.synthetic()[0].create_rules(flags=flag)
            super().synthetic(hooks=HOOKS | hook)[0].create_rules(flags=flag)
        self.synthetic()[0].create_rules(flags=ebpf.RulesFlag.REFUSE)

    def test_socket_without_addresses(self):
        event = ebpf.Event(kind=ebpf.Kind.SOCKET_DENIED, family=socket.AF_INET)
        self.assertEqual((event.kind_name, event.local_addr, event.remote_addr), ("socket_denied", None, None))

    def test_wrong_rules(self):
        tracer, _ = self.synthetic()
        for rule in (ebpf.Rule("10.0.0.0/8", 3), ebpf.Rule("10.0.0.0/8", 0), ebpf.Rule(None, DENY, protocol=1),
                     ebpf.Rule(None, DENY, first_port=2, last_port=1), ebpf.Rule(None, DENY, flags=2),
                     ebpf.Rule(None, DENY, protocol=ebpf.RULE_OTHER_PROTOCOLS, first_port=1, last_port=2)):
            with self.subTest(rule), self.fails(errno.EINVAL, ebpf.Step.RULES):
                tracer.create_rules([ebpf.Rule(None, ALLOW), rule])
        # numbers that ctypes would cut to those of another rule
        for rule in (ebpf.Rule(None, DENY, protocol=MPTCP), ebpf.Rule(None, DENY, first_port=65536 + 80),
                     ebpf.Rule(None, DENY, rule_id=2**32), ebpf.Rule(None, 65537), ebpf.Rule(None, DENY, rule_id=-1),
                     ebpf.Rule("10.0.0.0/33", DENY), ebpf.Rule("example.org", DENY)):
            with self.subTest(rule), self.assertRaises(ValueError):
                tracer.create_rules([rule])
        rules = tracer.create_rules()
        for port, protocol in ((65536, TCP), (-1, TCP), (1, 65536 + TCP)):
            with self.assertRaises(ValueError):
                rules.judge("192.0.2.1", port, protocol)
        with self.fails(errno.ERANGE):
            tracer.create_rules(default_action=3)

    def test_tracer_without_the_hook(self):
        tracer, session = super().synthetic(hooks=ebpf.Hook.CONNECT | ebpf.Hook.UDP)
        with self.fails(errno.EOPNOTSUPP):
            tracer.create_rules()
        with self.fails(errno.EOPNOTSUPP):
            session.set_rules(None)
        with self.fails(errno.EINVAL):
            ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC, hooks=ebpf.Hook.CONNECT, flags=ebpf.Open.DENIALS_ONLY)
        self.synthetic(flags=ebpf.Open.DENIALS_ONLY)

    def test_sessions(self):
        tracer, session = self.synthetic()
        first, second = tracer.create_rules(), tracer.create_rules()
        other = tracer.attach("/", rules=first)
        with self.fails(errno.EBUSY):
            first.close()
        other.set_rules(second)
        session.set_rules(second)
        first.close()
        first.close()
        for call in (lambda: session.set_rules(first), lambda: first.judge("192.0.2.1", 1, TCP),
                     lambda: first.list_address(1, "192.0.2.1"), lambda: tracer.attach("/", rules=first)):
            with self.assertRaisesRegex(ValueError, "the rules are closed"):
                call()
        session.set_rules(None)
        other.detach()
        second.close()
        with self.fails(errno.EINVAL):
            other.set_rules(None)

    def test_two_tracers(self):
        tracer, session = self.synthetic()
        foreign = self.synthetic()[0].create_rules()
        for call in (lambda: session.set_rules(foreign), lambda: tracer.attach("/", rules=foreign)):
            with self.fails(errno.EINVAL, ebpf.Step.OPTIONS):
                call()
        foreign.tracer.close()
        with self.fails(errno.EINVAL):
            session.set_rules(foreign)
        foreign.close()
        with self.assertRaises(ValueError):
            foreign.judge("192.0.2.1", 1, TCP)

    def test_close_beside_other_calls(self):
        tracer, session = self.synthetic()
        for _ in range(10):
            rules = tracer.create_rules()

            def judge():
                try:
                    while True:
                        rules.judge("192.0.2.1", 1, TCP)
                except ValueError:
                    pass

            thread = Thread(judge)
            while True:
                try:
                    rules.close()
                    break
                except ebpf.AgentshEbpfError as error:
                    self.assertEqual(error.errno, errno.EBUSY)
            thread.join()

    def test_forked_child(self):
        tracer, session = self.synthetic()
        rules = tracer.create_rules()

        def child():
            for call in (lambda: tracer.create_rules(), lambda: rules.judge("192.0.2.1", 1, TCP), rules.close,
                         lambda: rules.list_address(1, "192.0.2.1"), lambda: session.set_rules(rules)):
                with self.fails(errno.EPERM):
                    call()

        self.assertEqual(in_child(child), 0)
        rules.close()


main()

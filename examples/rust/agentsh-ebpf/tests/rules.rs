// SPDX-License-Identifier: Apache-2.0
//! Rules of synthetic tracers: no privilege is required.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::thread;

use agentsh_ebpf::*;

const ENOENT: i32 = 2;
const ENOSPC: i32 = 28;
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
const EOPNOTSUPP: i32 = 95;
const IPPROTO_ICMP: u16 = 1;
const TCP: u16 = 6;
const UDP: u16 = 17;
const SCTP: u16 = 132;
const MPTCP: u16 = 262;
const HOUR: u64 = 3_600_000_000_000;

fn synthetic(hooks: Hooks) -> Tracer {
    let options = Tracer::options().mode(Mode::SYNTHETIC).hooks(hooks);
    options.open().unwrap()
}

fn tracer() -> Tracer {
    synthetic(Hooks::CONNECT | Hooks::UDP | Hooks::RULES)
}

fn prefix(ip: &str, bits: u8) -> Option<(IpAddr, u8)> {
    Some((ip.parse().unwrap(), bits))
}

fn rule(action: RuleAction, rule_id: u32, prefix: Option<(IpAddr, u8)>) -> Rule {
    Rule {
        rule_id,
        ..Rule::new(action, prefix)
    }
}

fn deny_all() -> RulesOptions {
    RulesOptions {
        default_action: Some(RuleAction::DENY),
        ..RulesOptions::default()
    }
}

fn errno<T: std::fmt::Debug>(result: Result<T>) -> i32 {
    result.unwrap_err().raw_os_error()
}

#[test]
fn verdict_comes_back() {
    let tracer = tracer();
    let session = tracer.attach_path("/", 7.into()).unwrap();
    let mut event = Event::new(Kind::CONNECT, TCP, "192.0.2.1:443".parse().unwrap());
    event.as_raw_mut().verdict = Verdict::DENIED.raw();
    event.as_raw_mut().rule_id = 1 << 31;
    session.inject(&event).unwrap();
    let got = tracer.events(None).next().unwrap().unwrap();
    assert_eq!((got.verdict(), got.rule_id()), (Verdict::DENIED, 1 << 31));
    assert!(format!("{got:?}").contains("verdict: DENIED"));
    event.as_raw_mut().error = 1;
    assert_eq!(errno(session.inject(&event)), ERANGE);
    let names = [0, 1, 2, 3, 4].map(|number| Verdict::from_raw(number).name());
    assert_eq!(
        names,
        ["none", "allowed", "denied", "would_deny", "unknown"]
    );
    assert_eq!(
        (Hooks::RULES.name(), Step::RULES.name()),
        ("rules", "rules")
    );
}

#[test]
fn first_match_decides() {
    let tracer = tracer();
    let (allow, deny) = (RuleAction::ALLOW, RuleAction::DENY);
    let rules = [
        Rule {
            protocol: TCP as u8,
            first_port: 80,
            last_port: 90,
            ..rule(deny, 1, prefix("10.0.0.0", 8))
        },
        rule(allow, 2, prefix("10.1.0.0", 16)),
        Rule {
            first_port: 443,
            ..rule(allow, 3, prefix("2001:db8::", 32))
        },
        rule(allow, 4, prefix("::ffff:192.0.2.0", 120)),
        Rule {
            protocol: Rule::OTHER_PROTOCOLS,
            ..rule(allow, 5, None)
        },
        Rule {
            expires_boottime_ns: boottime_ns(),
            ..rule(allow, 6, prefix("198.51.100.1", 32))
        },
        Rule {
            expires_boottime_ns: boottime_ns() + HOUR,
            ..rule(allow, 7, prefix("198.51.100.2", 32))
        },
    ];
    let enforced = tracer.create_rules(&rules, deny_all()).unwrap();
    let audit = RulesOptions {
        flags: RulesFlags::AUDIT,
        ..deny_all()
    };
    let audited = tracer.create_rules(&rules, audit).unwrap();
    for (remote, protocol, verdict, rule_id) in [
        ("10.1.2.3:80", TCP, Verdict::DENIED, 1),
        ("10.1.2.3:90", MPTCP, Verdict::DENIED, 1),
        ("10.1.2.3:91", TCP, Verdict::ALLOWED, 2),
        ("10.1.2.3:80", UDP, Verdict::ALLOWED, 2),
        ("10.2.2.3:80", UDP, Verdict::DENIED, 0),
        ("[2001:db8::1]:443", TCP, Verdict::ALLOWED, 3),
        ("[2001:db8::1]:444", TCP, Verdict::DENIED, 0),
        ("192.0.2.9:1", UDP, Verdict::ALLOWED, 4),
        ("[::ffff:192.0.2.9]:1", TCP, Verdict::ALLOWED, 4),
        ("203.0.113.1:0", IPPROTO_ICMP, Verdict::ALLOWED, 5),
        ("198.51.100.1:1", TCP, Verdict::DENIED, 0),
        ("198.51.100.2:1", TCP, Verdict::ALLOWED, 7),
    ] {
        let to: SocketAddr = remote.parse().unwrap();
        assert_eq!(
            enforced.judge(to, protocol),
            Ok((verdict, rule_id)),
            "{remote}"
        );
        let verdict = match verdict {
            Verdict::DENIED => Verdict::WOULD_DENY,
            other => other,
        };
        assert_eq!(
            audited.judge(to, protocol),
            Ok((verdict, rule_id)),
            "{remote}"
        );
    }
    let none = tracer.create_rules(&[], RulesOptions::default()).unwrap();
    let to = "10.1.2.3:80".parse().unwrap();
    assert_eq!(none.judge(to, TCP), Ok((Verdict::ALLOWED, 0)));
}

#[test]
fn listed_addresses() {
    let tracer = tracer();
    let listed = Rule {
        flags: RuleFlags::LISTED,
        ..rule(RuleAction::ALLOW, 9, None)
    };
    let rules = tracer.create_rules(&[listed], deny_all()).unwrap();
    let (to, ip) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.1".parse().unwrap());
    for (expires, verdict) in [
        (None, Verdict::ALLOWED),
        (Some(1), Verdict::DENIED),
        (Some(boottime_ns() + HOUR), Verdict::ALLOWED),
        (Some(boottime_ns()), Verdict::DENIED),
        (Some(u64::MAX), Verdict::ALLOWED),
    ] {
        rules.list_address(9, ip, expires).unwrap();
        assert_eq!(rules.judge(to, TCP).unwrap().0, verdict, "{expires:?}");
        let other = "192.0.2.2:1".parse().unwrap();
        assert_eq!(rules.judge(other, TCP), Ok((Verdict::DENIED, 0)));
    }
    assert_eq!(errno(rules.list_address(9, ip, Some(0))), EINVAL);
    assert_eq!(rules.judge(to, TCP), Ok((Verdict::ALLOWED, 9)));
    rules.unlist_address(9, ip).unwrap();
    assert_eq!(rules.judge(to, TCP), Ok((Verdict::DENIED, 0)));
    assert_eq!(errno(rules.unlist_address(9, ip)), ENOENT);
    assert_eq!(errno(rules.list_address(8, ip, None)), ENOENT);
}

#[test]
fn exhaustion() {
    let tracer = tracer();
    let session = tracer.attach_path("/", 1.into()).unwrap();
    let to: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let mut rules = vec![rule(RuleAction::ALLOW, 1, prefix("192.0.2.1", 32))];
    // At most 8 rules for one destination can match listed addresses only.
    rules.resize(
        10,
        Rule {
            flags: RuleFlags::LISTED,
            ..rule(RuleAction::ALLOW, 2, None)
        },
    );
    assert_eq!(errno(tracer.create_rules(&rules, deny_all())), ENOSPC);
    for (action, default, verdict) in [
        (RuleAction::DENY, RuleAction::ALLOW, Verdict::DENIED),
        (RuleAction::ALLOW, RuleAction::DENY, Verdict::ALLOWED),
    ] {
        let options = RulesOptions {
            default_action: Some(default),
            on_exhaustion: Some(action),
            ..RulesOptions::default()
        };
        let set = tracer.create_rules(&rules, options).unwrap();
        let error = set.fallback().unwrap();
        assert_eq!((error.raw_os_error(), error.step()), (ENOSPC, Step::RULES));
        assert!(error.message().contains("10 rules"), "{error}");
        assert_eq!(set.judge(to, TCP), Ok((verdict, 0)));
        session.set_rules(Some(&set)).unwrap();
        let set = tracer.create_rules(&rules[..2], options).unwrap();
        assert_eq!(set.fallback(), None);
        assert_eq!(set.judge(to, TCP), Ok((Verdict::ALLOWED, 1)));
    }
    let options = RulesOptions {
        on_exhaustion: Some(RuleAction::from_raw(3)),
        ..RulesOptions::default()
    };
    assert_eq!(errno(tracer.create_rules(&[], options)), ERANGE);
    let options = RulesOptions {
        on_exhaustion: Some(RuleAction::DENY),
        ..RulesOptions::default()
    };
    let wrong = [rule(RuleAction::from_raw(3), 1, None)];
    assert_eq!(errno(tracer.create_rules(&wrong, options)), EINVAL);
}

#[test]
fn helpers() {
    let tracer = tracer();
    let resolver = rules_resolver("192.0.2.53:0".parse().unwrap(), 2);
    let of = |protocol: u16| Rule {
        protocol: protocol as u8,
        first_port: 53,
        ..rule(RuleAction::ALLOW, 2, prefix("192.0.2.53", 32))
    };
    assert_eq!(resolver, [of(UDP), of(TCP)]);
    let rules = [
        resolver,
        rules_resolver("[2001:db8::53]:5353".parse().unwrap(), 3),
        rules_loopback(1),
    ]
    .concat();
    let set = tracer.create_rules(&rules, deny_all()).unwrap();
    for (remote, protocol, rule_id) in [
        ("127.0.0.1:1", TCP, 1),
        ("127.255.255.255:0", IPPROTO_ICMP, 1),
        ("[::1]:1", UDP, 1),
        ("128.0.0.1:1", TCP, 0),
        ("[::2]:1", TCP, 0),
        ("192.0.2.53:53", UDP, 2),
        ("192.0.2.53:53", TCP, 2),
        ("192.0.2.53:53", SCTP, 0),
        ("192.0.2.53:54", UDP, 0),
        ("192.0.2.54:53", UDP, 0),
        ("[2001:db8::53]:5353", TCP, 3),
        ("[2001:db8::53]:53", TCP, 0),
    ] {
        let verdict = match rule_id {
            0 => Verdict::DENIED,
            _ => Verdict::ALLOWED,
        };
        let got = set.judge(remote.parse().unwrap(), protocol);
        assert_eq!(got, Ok((verdict, rule_id)), "{remote}");
    }
}

#[test]
fn flags_need_hooks() {
    let hooks = tracer().hooks();
    for (flags, hook) in [
        (RulesFlags::STRICT_SOCKETS, Hooks::SOCK_CREATE),
        (RulesFlags::EGRESS, Hooks::EGRESS),
    ] {
        let options = RulesOptions {
            flags,
            ..RulesOptions::default()
        };
        let error = tracer().create_rules(&[], options).unwrap_err();
        assert_eq!(
            (error.raw_os_error(), error.step()),
            (EOPNOTSUPP, Step::OPTIONS)
        );
        synthetic(hooks | hook).create_rules(&[], options).unwrap();
    }
    let options = RulesOptions {
        flags: RulesFlags::REFUSE,
        ..RulesOptions::default()
    };
    tracer().create_rules(&[], options).unwrap();
}

#[test]
fn socket_without_addresses() {
    let to = "192.0.2.1:443".parse().unwrap();
    let event = Event::new(Kind::SOCKET_DENIED, TCP, to);
    assert_eq!((event.remote(), event.local()), (None, None));
    let event = Event::new(Kind::PACKET_DENIED, TCP, to);
    assert_eq!(event.remote(), Some(to));
    assert_eq!(Kind::SOCKET_DENIED.name(), "socket_denied");
    assert_eq!(Kind::PACKET_DENIED.name(), "packet_denied");
    assert_eq!(Hooks::SOCK_CREATE.name(), "sock_create");
    assert_eq!(Hooks::EGRESS.name(), "egress");
    assert_eq!(Check::SOCK_CREATE.name(), "sock_create");
    assert_eq!(Check::SET_RETVAL.name(), "set_retval");
}

#[test]
fn wrong_rules() {
    let tracer = tracer();
    let good = Rule::new(RuleAction::DENY, prefix("10.0.0.0", 8));
    let other = Rule {
        protocol: Rule::OTHER_PROTOCOLS,
        ..good
    };
    #[rustfmt::skip]
    let wrong = [
        Rule { prefix: prefix("10.0.0.0", 33), ..good },
        Rule { prefix: prefix("::", 129), ..good },
        Rule { protocol: 1, ..good },
        Rule { first_port: 2, last_port: 1, ..good },
        Rule { first_port: 1, last_port: 2, ..other },
        Rule { action: RuleAction::from_raw(3), ..good },
        Rule { action: RuleAction::from_raw(65537), ..good },
        Rule { flags: RuleFlags::from_bits(2), ..good },
        Rule { flags: RuleFlags::from_bits(65536), ..good },
    ];
    for rule in wrong {
        let result = tracer.create_rules(&[good, rule], RulesOptions::default());
        assert_eq!(errno(result), EINVAL, "{rule:?}");
    }
    let options = RulesOptions {
        default_action: Some(RuleAction::from_raw(3)),
        ..RulesOptions::default()
    };
    let error = tracer.create_rules(&[], options).unwrap_err();
    assert!(error.message().contains("default_action"), "{error}");
    for (name, options) in [
        ("rules_bytes", Tracer::options().rules_bytes(1)),
        ("rules_addresses", Tracer::options().rules_addresses(1)),
    ] {
        let hooks = tracer.hooks();
        let error = options
            .mode(Mode::SYNTHETIC)
            .hooks(hooks)
            .open()
            .expect_err(name);
        assert!(error.message().contains(name), "{name}: {error}");
    }
}

#[test]
fn tracers_without_the_hook_and_of_others() {
    let none = RulesOptions::default();
    let without = synthetic(Hooks::CONNECT | Hooks::UDP);
    let session = without.attach_path("/", 1.into()).unwrap();
    assert_eq!(errno(without.create_rules(&[], none)), EOPNOTSUPP);
    assert_eq!(errno(session.set_rules(None)), EOPNOTSUPP);

    let (first, second) = (tracer(), tracer());
    let session = first.attach_path("/", 1.into()).unwrap();
    let foreign = second.create_rules(&[], none).unwrap();
    drop(second); // the set keeps it open
    assert_eq!(errno(session.set_rules(Some(&foreign))), EINVAL);
    let cgroup = File::open("/").unwrap();
    let result = first.attach_with_rules(&cgroup, 1.into(), &foreign);
    assert_eq!(errno(result), EINVAL);
}

#[test]
fn a_set_lives_as_long_as_its_sessions() {
    let tracer = tracer();
    let cgroup = File::open("/").unwrap();
    let to: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let rules = tracer.create_rules(&[], deny_all()).unwrap();
    let session = tracer.attach_with_rules(&cgroup, 1.into(), &rules).unwrap();
    let other = tracer.attach_with_rules(&cgroup, 2.into(), &rules).unwrap();
    drop(rules); // the sessions own it
    let next = tracer.create_rules(&[], RulesOptions::default()).unwrap();
    session.set_rules(Some(&next)).unwrap();
    session.set_rules(Some(&next)).unwrap();
    other.detach().unwrap();
    session.set_rules(None).unwrap();
    session.set_rules(Some(&next)).unwrap();
    drop(session);
    drop(tracer); // the set keeps it open
    assert_eq!(next.judge(to, TCP), Ok((Verdict::ALLOWED, 0)));
}

#[test]
fn threads() {
    let tracer = tracer();
    let session = tracer.attach_path("/", 1.into()).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let rules = tracer.create_rules(&[], deny_all()).unwrap();
                    session.set_rules(Some(&rules)).unwrap();
                    let to = "192.0.2.1:1".parse().unwrap();
                    assert_eq!(rules.judge(to, TCP), Ok((Verdict::DENIED, 0)));
                }
            });
        }
    });
    session.set_rules(None).unwrap();
}

// SPDX-License-Identifier: Apache-2.0
//! Names, with synthetic tracers: no privilege is required.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use agentsh_ebpf::*;

const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
const IPPROTO_TCP: u16 = 6;
const ASKER: u32 = 4711;

fn synthetic() -> TracerOptions<'static> {
    Tracer::options().mode(Mode::SYNTHETIC)
}

fn open() -> (Tracer, Session) {
    let tracer = synthetic().open().unwrap();
    let session = tracer.attach_path("/", 7.into()).unwrap();
    (tracer, session)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An event of this process.
fn event(address: &str, tgid: u32) -> Event {
    let mut event = Event::new(
        Kind::CONNECT,
        IPPROTO_TCP,
        SocketAddr::new(ip(address), 443),
    );
    event.as_raw_mut().tgid = tgid;
    event
}

/// The event comes back, and its name is copied.
fn deliver(tracer: &Tracer, session: &Session, sent: &Event) -> (Event, Option<Name>) {
    session.inject(sent).unwrap();
    let mut buffer = [Event::default(); 2];
    assert_eq!(tracer.read(&mut buffer, None), Ok(1));
    let name = tracer.event_name(&buffer[0]).unwrap();
    assert_eq!(name.is_some(), buffer[0].name_id() != 0);
    (buffer[0], name)
}

fn full() -> Name {
    Name {
        asked: "www.example.org".into(),
        owner: "cdn.example.net".into(),
        source: NameSource::DNS,
        server_name: "api.example.org".into(),
        server_name_source: NameSource::TLS,
        alpn: "h2,http/1.1".into(),
        flags: NameFlags::DIFFERS,
        asker_tgid: ASKER,
        ttl: Some(Duration::from_secs(300)),
        resolver: Some("[2001:db8::53]:5353".parse().unwrap()),
        ..Name::default()
    }
}

fn asked(text: &str, tgid: u32) -> Name {
    Name {
        asked: text.into(),
        owner: text.into(),
        source: NameSource::DNS,
        asker_tgid: tgid,
        ..Name::default()
    }
}

#[test]
fn all_members_come_back() {
    for address in ["192.0.2.1", "2001:db8::1"] {
        let (tracer, session) = open();
        session.inject_name(ip(address), &full()).unwrap();
        let (_, name) = deliver(&tracer, &session, &event(address, ASKER));
        let mut name = name.unwrap();
        assert!(name.age < Duration::from_secs(600), "{:?}", name.age);
        name.age = Duration::ZERO;
        assert_eq!(name, full());
        assert_eq!(name.host(), Some("www.example.org"));
        assert_eq!(
            (name.source.name(), name.server_name_source.name()),
            ("dns", "tls")
        );
    }
}

#[test]
fn another_process_and_no_name() {
    let (tracer, session) = open();
    session.inject_name(ip("192.0.2.1"), &full()).unwrap();
    let (_, name) = deliver(&tracer, &session, &event("192.0.2.1", ASKER + 1));
    assert_eq!(
        name.unwrap().flags,
        NameFlags::DIFFERS | NameFlags::OTHER_PROCESS
    );
    let (_, name) = deliver(&tracer, &session, &event("192.0.2.2", ASKER));
    assert_eq!(name, None);
}

#[test]
fn a_name_is_gone_after_the_next_read() {
    let (tracer, session) = open();
    session.inject_name(ip("192.0.2.1"), &full()).unwrap();
    let (first, name) = deliver(&tracer, &session, &event("192.0.2.1", ASKER));
    deliver(&tracer, &session, &event("192.0.2.1", ASKER));
    assert_ne!(first.name_id(), 0);
    assert_eq!(tracer.event_name(&first), Ok(None));
    assert_eq!(name.unwrap().asked, "www.example.org");
}

#[test]
fn names_in_a_loop_that_is_left_and_begun_again() {
    let (tracer, session) = open();
    for number in 0..100 {
        let address = format!("192.0.2.{number}");
        let name = asked(&format!("n{number}.example.org"), 1);
        session.inject_name(ip(&address), &name).unwrap();
        session.inject(&event(&address, 1)).unwrap();
    }
    let mut number = 0;
    while number < 100 {
        for event in tracer.events(None).take(10) {
            let name = tracer.event_name(&event.unwrap()).unwrap().unwrap();
            assert_eq!(name.asked, format!("n{number}.example.org"));
            number += 1;
        }
    }
}

#[test]
fn a_shared_address() {
    let (tracer, session) = open();
    let address = "192.0.2.1";
    for (number, text) in ["first.example.org", "second.example.org"]
        .iter()
        .enumerate()
    {
        let name = asked(text, number as u32 + 1);
        session.inject_name(ip(address), &name).unwrap();
    }
    for (tgid, text) in [(1, "first.example.org"), (2, "second.example.org")] {
        let name = deliver(&tracer, &session, &event(address, tgid)).1.unwrap();
        assert_eq!(
            (name.asked.as_str(), name.others, name.flags),
            (text, 1, NameFlags::SHARED)
        );
    }
    let found = session.name_lookup(ip(address)).unwrap();
    let texts: Vec<_> = found.iter().map(|name| name.asked.as_str()).collect();
    assert_eq!(texts, ["second.example.org", "first.example.org"]);
}

#[test]
fn seeds() {
    let (tracer, session) = open();
    let address = "2001:db8::1";
    let other = tracer.attach_path("/", 8.into()).unwrap();
    session
        .name_seed(ip(address), Some("Host.Example.ORG."), 0)
        .unwrap();
    let (_, name) = deliver(&tracer, &session, &event(address, 1));
    let name = name.unwrap();
    assert_eq!(
        (name.asked.as_str(), name.source, name.ttl, name.resolver),
        ("host.example.org", NameSource::SEED, None, None)
    );
    assert_eq!(deliver(&tracer, &other, &event(address, 1)).1, None);
    assert_eq!(other.name_lookup(ip(address)), Ok(vec![]));
    session
        .name_seed(ip(address), Some("other.example.org"), 60)
        .unwrap();
    let found = session.name_lookup(ip(address)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].asked.as_str(), found[0].ttl),
        ("other.example.org", Some(Duration::from_secs(60)))
    );
    session.name_seed(ip(address), None, 0).unwrap();
    assert_eq!(deliver(&tracer, &session, &event(address, 1)).1, None);
}

#[test]
fn hosts() {
    assert_eq!(Name::default().host(), None);
    let mut name = Name {
        server_name: "a".into(),
        server_name_source: NameSource::HTTP,
        ..Name::default()
    };
    assert_eq!(name.host(), Some("a"));
    (name.asked, name.source) = ("/run/socket".into(), NameSource::UNIX);
    assert_eq!(name.host(), None);
    assert_eq!(NameSource::from_raw(200).name(), "unknown");
    assert_eq!(format!("{:?}", NameSource::SEED), "SEED");
}

#[test]
fn dns_of_an_injected_event() {
    let (tracer, session) = open();
    for kind in [Kind::DNS_ANSWER, Kind::DNS_QUERY, Kind::CONNECT] {
        let mut sent = event("192.0.2.53", 1);
        sent.as_raw_mut().kind = kind.raw();
        let (got, _) = deliver(&tracer, &session, &sent);
        assert_eq!(got.kind(), kind);
        assert_eq!(tracer.event_dns(&got), Ok(None));
    }
}

#[test]
fn errors() {
    let (_tracer, session) = open();
    let long = Name {
        owner: "a".repeat(256),
        ..full()
    };
    let nul = Name {
        asked: "a\0b".into(),
        ..full()
    };
    for result in [
        session.name_seed(ip("192.0.2.1"), Some(""), 0),
        session.name_seed(ip("192.0.2.1"), Some("a..b"), 0),
        session.name_seed(ip("192.0.2.1"), Some("a\0b"), 0),
        session.inject_name(ip("192.0.2.1"), &long),
        session.inject_name(ip("192.0.2.1"), &nul),
    ] {
        assert_eq!(result.unwrap_err().raw_os_error(), EINVAL);
    }
}

/// Each option has a value that the library refuses, so an option that got lost is found.
#[test]
fn every_option_is_passed_on() {
    for (name, options, errno) in [
        ("dns_timeout_ms", synthetic().dns_timeout_ms(1), ERANGE),
        ("dns_ports", synthetic().dns_ports([0, 0, 0, 5353]), EINVAL),
        ("flags", synthetic().flags(OpenFlags::DNS_EVENTS), EINVAL),
    ] {
        let error = options.open().expect_err(name);
        assert_eq!((error.raw_os_error(), error.step()), (errno, Step::OPTIONS));
        assert!(error.message().contains(name), "{name}: {error}");
    }
    let (tracer, _session) = open();
    let options = SessionOptions {
        names_max: 16,
        names_bytes: 4096,
        trusted_resolvers: [
            Some("192.0.2.1:0".parse().unwrap()),
            Some("[2001:db8::1]:53".parse().unwrap()),
            None,
            None,
        ],
        ..SessionOptions::default()
    };
    for (name, bad) in [
        (
            "names_max",
            SessionOptions {
                names_max: 1,
                ..options
            },
        ),
        (
            "names_bytes",
            SessionOptions {
                names_bytes: 1,
                ..options
            },
        ),
    ] {
        let error = tracer.attach_path("/", bad).expect_err(name);
        assert_eq!(error.raw_os_error(), ERANGE);
        assert!(error.message().contains(name), "{name}: {error}");
    }
    tracer.attach_path("/", options).unwrap();
}

#[test]
fn statistics() {
    let (tracer, session) = open();
    for number in 0..1000 {
        let address = format!("192.0.{}.{}", number / 250, number % 250);
        let name = format!("n{number}.example.org");
        session.name_seed(ip(&address), Some(&name), 0).unwrap();
    }
    let stats = session.stats().unwrap();
    assert!(stats.names_evicted > 0, "{stats:?}");
    assert_eq!((stats.answers, stats.packets_lost), (0, 0));
    assert_eq!(tracer.stats().unwrap().names_evicted, stats.names_evicted);
}

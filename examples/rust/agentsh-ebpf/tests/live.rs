// SPDX-License-Identifier: Apache-2.0
//! Real connections of a process in a cgroup. Requires root.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::raw::c_int;
use std::os::unix::fs::MetadataExt;
use std::os::unix::io::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use agentsh_ebpf::*;

const ECONNREFUSED: i32 = 111;
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const EOPNOTSUPP: i32 = 95;
const AF_INET: c_int = 2;
const SOCK_RAW: c_int = 3;
const IPPROTO_ICMP: c_int = 1;
const CALLS: &str = "AGENTSH_EBPF_TEST_CALLS";

extern "C" {
    fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
}

struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Cgroup {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("agentsh-test-rust.{}.{number}", std::process::id());
        let path = probe(0).unwrap().cgroup2_path.join(name);
        fs::create_dir(&path).expect("the live tests require root");
        Cgroup(path)
    }

    /// Runs the test `child` of this program in the cgroup, and returns what it has printed.
    fn run(&self, calls: &str) -> Vec<Said> {
        let mut procs = OpenOptions::new()
            .write(true)
            .open(self.0.join("cgroup.procs"))
            .unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--ignored",
            "--exact",
            "child",
            "--nocapture",
            "--test-threads=1",
        ]);
        command.env(CALLS, calls).stdout(Stdio::piped());
        // SAFETY: the function only writes to a descriptor.
        unsafe { command.pre_exec(move || procs.write_all(b"0")) };
        let child = command.spawn().unwrap();
        let tgid = child.id();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let said: Vec<_> = text
            .lines()
            .filter_map(|line| Said::parse(tgid, line))
            .collect();
        assert_eq!(said.len(), calls.split(' ').count(), "{text}");
        said
    }
}

impl Drop for Cgroup {
    /// A process that has ended may still be in the cgroup for a moment.
    fn drop(&mut self) {
        while let Err(error) = fs::remove_dir(&self.0) {
            if error.kind() == ErrorKind::NotFound {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What the child says about one call.
struct Said {
    tgid: u32,
    local: SocketAddr,
    comm: String,
}

impl Said {
    fn parse(tgid: u32, line: &str) -> Option<Said> {
        let (local, comm) = line.strip_prefix("local ")?.split_once(' ').unwrap();
        Some(Said {
            tgid,
            local: local.parse().unwrap(),
            comm: comm.to_string(),
        })
    }
}

/// The process in the cgroup: makes the calls that the variable names, each as KIND=ADDRESS.
#[test]
#[ignore = "the other tests run it in a cgroup"]
fn child() {
    for call in std::env::var(CALLS).unwrap().split(' ') {
        let (kind, address) = call.split_once('=').unwrap();
        let to: SocketAddr = address.parse().unwrap();
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let local = match kind {
            "tcp" => {
                let mut stream = TcpStream::connect(to).unwrap();
                stream.write_all(b"hello").unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                stream.read_to_end(&mut Vec::new()).unwrap();
                stream.local_addr().unwrap()
            }
            "denied" => {
                let error = TcpStream::connect(to).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(EPERM));
                any.parse().unwrap()
            }
            "denied-send" => {
                let socket = UdpSocket::bind(any).unwrap();
                let error = socket.send_to(b"x", to).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(EPERM));
                socket.local_addr().unwrap()
            }
            "refused" => {
                let error = TcpStream::connect(to).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(ECONNREFUSED));
                any.parse().unwrap()
            }
            "raw" | "denied-raw" => {
                // SAFETY: no pointers.
                let fd = unsafe { socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) };
                let error = std::io::Error::last_os_error().raw_os_error();
                if kind == "raw" {
                    // SAFETY: nothing else owns the descriptor.
                    drop(unsafe { OwnedFd::from_raw_fd(fd) });
                } else {
                    assert_eq!((fd, error), (-1, Some(EPERM)));
                }
                any.parse().unwrap()
            }
            // sends on a connected socket until it is denied
            "later" => {
                let socket = UdpSocket::bind(any).unwrap();
                socket.connect(to).unwrap();
                let denied = (0..100_000).any(|_| {
                    thread::sleep(Duration::from_millis(1));
                    // another error is that of an earlier packet
                    let error = socket.send(b"x").err();
                    error.and_then(|error| error.raw_os_error()) == Some(EPERM)
                });
                assert!(denied);
                socket.local_addr().unwrap()
            }
            "udp" => {
                let socket = UdpSocket::bind(any).unwrap();
                socket.connect(to).unwrap();
                socket.local_addr().unwrap()
            }
            "send" => {
                let socket = UdpSocket::bind(any).unwrap();
                socket.send_to(b"x", to).unwrap();
                socket.local_addr().unwrap()
            }
            "flood" => {
                let socket = UdpSocket::bind(any).unwrap();
                for _ in 0..500 {
                    socket.send_to(b"x", to).unwrap();
                }
                socket.local_addr().unwrap()
            }
            "ask" => {
                let socket = UdpSocket::bind(any).unwrap();
                socket.connect(to).unwrap();
                socket.send(QUESTION).unwrap();
                assert!(socket.recv(&mut [0; 512]).unwrap() > QUESTION.len());
                socket.local_addr().unwrap()
            }
            _ => panic!("{kind}"),
        };
        let comm = fs::read_to_string("/proc/thread-self/comm").unwrap();
        println!("\nlocal {local} {}", comm.trim_end());
    }
}

/// A question for the addresses of www.example.org, RFC 1035.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01";

/// www.example.org is an alias of cdn.example.net, which has the address 127.0.0.1.
const RECORDS: &[u8] = b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x11\x03cdn\x07example\x03net\0\
    \x03cdn\x07example\x03net\0\0\x01\0\x01\0\0\x01\x2c\0\x04\x7f\0\0\x01";

/// A name server outside the cgroup.
fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || loop {
        let mut question = [0; 512];
        let (length, peer) = socket.recv_from(&mut question).unwrap();
        let mut answer = question[..2].to_vec();
        answer.extend(b"\x81\x80\0\x01\0\x02\0\0\0\0");
        answer.extend(&question[12..length]);
        answer.extend(RECORDS);
        socket.send_to(&answer, peer).unwrap();
    });
    address
}

/// A server outside the cgroup, which answers each connection with 3 bytes.
fn server(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
            stream.write_all(b"123").unwrap();
        }
    });
    address
}

fn unused_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn inode(path: &FilePath) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn ways() {
    let hooks = Hooks::CONNECT | Hooks::UDP | Hooks::LIFECYCLE;
    let tracer = Tracer::options()
        .hooks(hooks)
        .required_hooks(hooks)
        .open()
        .unwrap();
    assert_eq!(tracer.hooks(), hooks);
    let (tcp4, tcp6, refused) = (server("127.0.0.1:0"), server("[::1]:0"), unused_port());
    let success = [Kind::CONNECT, Kind::CONNECTED, Kind::CLOSED];
    let table: [(&str, String, &[Kind]); 7] = [
        ("tcp", tcp4.to_string(), &success),
        ("tcp", tcp6.to_string(), &success),
        (
            "refused",
            refused.to_string(),
            &[Kind::CONNECT, Kind::CONNECT_FAILED],
        ),
        ("udp", "127.0.0.2:9".into(), &[Kind::CONNECT, Kind::CLOSED]),
        ("udp", "[::1]:9".into(), &[Kind::CONNECT, Kind::CLOSED]),
        (
            "send",
            "127.0.0.3:9".into(),
            &[Kind::UDP_SEND, Kind::CLOSED],
        ),
        ("send", "[::1]:10".into(), &[Kind::UDP_SEND, Kind::CLOSED]),
    ];
    for (kind, address, kinds) in &table {
        let cgroup = Cgroup::new();
        let session = tracer
            .attach_path(&cgroup.0, 0x1234_5678_9abc_def0.into())
            .unwrap();
        let said = &cgroup.run(&format!("{kind}={address}"))[0];
        let mut events = Vec::new();
        while events.len() < kinds.len() {
            events.extend(tracer.events(None).next().map(Result::unwrap));
        }
        assert_eq!(
            &events.iter().map(Event::kind).collect::<Vec<_>>(),
            kinds,
            "{kind} {address}"
        );
        for event in &events {
            assert_eq!(event.remote().unwrap().to_string(), *address);
            assert_eq!(event.tgid(), said.tgid);
            assert_eq!(event.session_id(), session.session_id());
            assert_eq!(event.cgroup_id(), inode(&cgroup.0));
            assert_eq!(event.socket_cookie(), events[0].socket_cookie());
            assert_eq!(event.exe_inode(), inode(&std::env::current_exe().unwrap()));
            assert_eq!(event.comm_lossy(), said.comm);
            assert!(!event.flags().contains(Flags::UNATTRIBUTED));
        }
        let last = events.last().unwrap();
        match *kind {
            "tcp" => {
                assert_eq!(events[1].local(), Some(said.local));
                assert_eq!((last.bytes_sent(), last.bytes_received()), (5, 3));
                assert!(last.duration() > events[1].duration());
            }
            "refused" => assert_eq!(last.error(), ECONNREFUSED),
            "send" => assert_eq!(events[0].local_port(), said.local.port()),
            _ => {}
        }
        let stats = session.stats().unwrap();
        assert_eq!((stats.delivered, stats.lost), (kinds.len() as u64, 0));
        session.detach().unwrap();
    }
}

#[test]
fn rules() {
    let hooks = Hooks::CONNECT | Hooks::UDP | Hooks::RULES;
    let options = Tracer::options().hooks(hooks).required_hooks(hooks);
    let tracer = options.open().unwrap();
    let server = server("127.0.0.1:0");
    let loopback = Some(("127.0.0.0".parse().unwrap(), 8));
    let list = [
        Rule {
            rule_id: 7,
            flags: RuleFlags::LISTED,
            ..Rule::new(RuleAction::ALLOW, loopback)
        },
        Rule {
            rule_id: 8,
            ..Rule::new(RuleAction::DENY, loopback)
        },
    ];
    let enforced = tracer.create_rules(&list, RulesOptions::default()).unwrap();
    let audit = RulesOptions {
        flags: RulesFlags::AUDIT,
        ..RulesOptions::default()
    };
    let audited = tracer.create_rules(&list, audit).unwrap();
    let cgroup = Cgroup::new();
    let directory = File::open(&cgroup.0).unwrap();
    let session = tracer
        .attach_with_rules(&directory, 1.into(), &enforced)
        .unwrap();
    let expect = |call: &str, kind: Kind, verdict: Verdict, rule_id: u32| {
        cgroup.run(&format!("{call}={server}"));
        let events: Vec<_> = tracer
            .events(Some(Duration::ZERO))
            .map(Result::unwrap)
            .collect();
        assert_eq!(events.len(), 1, "{call}: {events:?}");
        let event = &events[0];
        assert_eq!((event.kind(), event.remote()), (kind, Some(server)));
        assert_eq!((event.verdict(), event.rule_id()), (verdict, rule_id));
    };
    expect("denied", Kind::CONNECT, Verdict::DENIED, 8);
    expect("denied-send", Kind::UDP_SEND, Verdict::DENIED, 8);
    enforced.list_address(7, server.ip(), None).unwrap();
    expect("tcp", Kind::CONNECT, Verdict::ALLOWED, 7);
    let now = boottime_ns();
    enforced.list_address(7, server.ip(), Some(now)).unwrap();
    expect("denied", Kind::CONNECT, Verdict::DENIED, 8);
    enforced.unlist_address(7, server.ip()).unwrap();
    expect("denied", Kind::CONNECT, Verdict::DENIED, 8);
    session.set_rules(Some(&audited)).unwrap();
    drop(enforced);
    expect("tcp", Kind::CONNECT, Verdict::WOULD_DENY, 8);
    session.set_rules(None).unwrap();
    expect("tcp", Kind::CONNECT, Verdict::NONE, 0);
    let stats = session.stats().unwrap();
    assert_eq!((stats.allowed, stats.denied, stats.would_deny), (1, 4, 1));
}

#[test]
fn strict_rules() {
    let judging = Hooks::RULES | Hooks::SOCK_CREATE | Hooks::EGRESS;
    let hooks = Hooks::CONNECT | Hooks::UDP | judging;
    let options = Tracer::options().hooks(hooks).required_hooks(hooks);
    let tracer = options.open().unwrap();
    let with = |flags| RulesOptions {
        flags,
        ..RulesOptions::default()
    };
    let (mut flags, mut refused) = (RulesFlags::STRICT_SOCKETS | RulesFlags::EGRESS, "denied");
    let refuse = tracer.create_rules(&[], with(RulesFlags::REFUSE));
    if probe(0).unwrap().available & Check::SET_RETVAL.mask() == 0 {
        assert_eq!(refuse.unwrap_err().raw_os_error(), EOPNOTSUPP);
    } else {
        flags |= RulesFlags::REFUSE;
        refused = "refused";
    }

    for (some, raw) in [
        (RulesFlags::empty(), false),
        (RulesFlags::REFUSE, false),
        (RulesFlags::STRICT_SOCKETS, true),
        (RulesFlags::EGRESS, true),
        (flags, true),
    ] {
        let enforced = tracer.coverage(some).unwrap().enforced;
        assert_ne!(enforced & Path::TCP_CONNECT.mask(), 0);
        assert_eq!(enforced & Path::RAW.mask() != 0, raw, "{some:?}");
    }
    let audit = tracer.coverage(flags | RulesFlags::AUDIT).unwrap();
    assert_eq!(audit.enforced, 0);
    let unknown = tracer.coverage(RulesFlags::from_bits(1 << 20));
    assert_eq!(unknown.unwrap_err().raw_os_error(), EINVAL);

    // A server listens, so it is the rules that refuse.
    let server = server("127.0.0.1:0");
    let cgroup = Cgroup::new();
    let session = tracer.attach_path(&cgroup.0, 1.into()).unwrap();
    let deny = Rule {
        rule_id: 8,
        ..Rule::new(RuleAction::DENY, Some(("127.0.0.0".parse().unwrap(), 8)))
    };
    let rules = tracer.create_rules(&[deny], with(flags)).unwrap();
    let next = || tracer.events(None).next().unwrap().unwrap();
    cgroup.run(&format!("raw={server}"));
    thread::scope(|scope| {
        let child = scope.spawn(|| cgroup.run(&format!("later={server}")));
        assert_eq!(next().verdict(), Verdict::NONE);
        session.set_rules(Some(&rules)).unwrap();
        child.join().unwrap();
    });
    cgroup.run(&format!("{refused}={server} denied-raw={server}"));
    for (kind, remote, rule_id) in [
        (Kind::PACKET_DENIED, Some(server), 8),
        (Kind::CONNECT, Some(server), 8),
        (Kind::SOCKET_DENIED, None, 0),
    ] {
        let event = next();
        assert_eq!((event.kind(), event.remote()), (kind, remote));
        assert_eq!(
            (event.verdict(), event.rule_id()),
            (Verdict::DENIED, rule_id)
        );
        if kind == Kind::SOCKET_DENIED {
            let (socket, protocol) = (event.as_raw().socket_type, event.protocol());
            assert_eq!(
                (i32::from(socket), protocol.into()),
                (SOCK_RAW, IPPROTO_ICMP)
            );
        }
    }
    let stats = session.stats().unwrap();
    let packets = (stats.packets_denied, stats.packets_would_deny);
    assert_eq!((stats.denied, packets), (2, (1, 0)));
    let audit = RulesFlags::AUDIT | RulesFlags::STRICT_SOCKETS | RulesFlags::EGRESS;
    let audited = tracer.create_rules(&[deny], with(audit)).unwrap();
    session.set_rules(Some(&audited)).unwrap();
    cgroup.run(&format!("raw={server} send={server}"));
    let stats = session.stats().unwrap();
    let packets = (stats.packets_denied, stats.packets_would_deny);
    assert_eq!((stats.would_deny, packets), (2, (1, 1)));
}

/// The kernel memory of a tracer is limited.
#[test]
fn rules_when_memory_is_short() {
    let hooks = Hooks::CONNECT | Hooks::UDP | Hooks::RULES;
    let options = Tracer::options().hooks(hooks).required_hooks(hooks);
    let tracer = options.rules_bytes(65536).open().unwrap();
    let server = server("127.0.0.1:0");
    let cgroup = Cgroup::new();
    let session = tracer.attach_path(&cgroup.0, 1.into()).unwrap();
    let list: Vec<_> = (0..4096)
        .map(|number| {
            let ip = std::net::Ipv4Addr::from(0x7f01_0000 + 2 * number).into();
            Rule::new(RuleAction::DENY, Some((ip, 32)))
        })
        .collect();
    for (action, call) in [(RuleAction::DENY, "denied"), (RuleAction::ALLOW, "tcp")] {
        let options = RulesOptions {
            on_exhaustion: Some(action),
            ..RulesOptions::default()
        };
        let rules = tracer.create_rules(&list, options).unwrap();
        assert_eq!(rules.fallback().unwrap().raw_os_error(), ENOSPC);
        session.set_rules(Some(&rules)).unwrap();
        cgroup.run(&format!("{call}={server}"));
    }
}

#[test]
fn denials_only() {
    let hooks = Hooks::CONNECT | Hooks::UDP | Hooks::RULES;
    let tracer = Tracer::options()
        .hooks(hooks)
        .required_hooks(hooks)
        .flags(OpenFlags::DENIALS_ONLY)
        .open()
        .unwrap();
    let server = server("127.0.0.1:0");
    let cgroup = Cgroup::new();
    let session = tracer.attach_path(&cgroup.0, 1.into()).unwrap();
    let deny = RulesOptions {
        default_action: Some(RuleAction::DENY),
        ..RulesOptions::default()
    };
    cgroup.run(&format!("tcp={server}"));
    let rules = tracer.create_rules(&[], deny).unwrap();
    session.set_rules(Some(&rules)).unwrap();
    cgroup.run(&format!("denied={server}"));
    let event = tracer.events(None).next().unwrap().unwrap();
    assert_eq!((event.verdict(), event.rule_id()), (Verdict::DENIED, 0));
    let stats = tracer.stats().unwrap();
    assert_eq!((stats.delivered, stats.denied), (1, 1));
}

/// The kernel memory of the sets would be used up if a set were not freed with its last owner.
#[test]
fn sets_are_freed() {
    let hooks = Hooks::CONNECT | Hooks::UDP | Hooks::RULES;
    let options = Tracer::options().hooks(hooks).required_hooks(hooks);
    let tracer = options.rules_bytes(16384).open().unwrap();
    let cgroup = Cgroup::new();
    let session = tracer.attach_path(&cgroup.0, 1.into()).unwrap();
    let list: Vec<_> = (0..100)
        .map(|number| {
            let ip = std::net::Ipv4Addr::new(127, number, 0, 0).into();
            Rule::new(RuleAction::DENY, Some((ip, 16)))
        })
        .collect();
    for _ in 0..20 {
        let rules = tracer.create_rules(&list, RulesOptions::default()).unwrap();
        session.set_rules(Some(&rules)).unwrap();
    }
    let kept: Vec<_> = (0..20)
        .map(|_| tracer.create_rules(&list, RulesOptions::default()))
        .collect();
    let error = kept.into_iter().find_map(Result::err).unwrap();
    assert_eq!((error.raw_os_error(), error.step()), (28, Step::RULES));
}

#[test]
fn names() {
    let hooks = Hooks::CONNECT | Hooks::UDP | Hooks::LIFECYCLE | Hooks::DNS;
    let (resolver, server) = (name_server(), server("127.0.0.1:0"));
    let tracer = Tracer::options()
        .hooks(hooks)
        .required_hooks(hooks)
        .flags(OpenFlags::DNS_EVENTS)
        .dns_ports([resolver.port(), 0, 0, 0])
        .open()
        .unwrap();
    let cgroup = Cgroup::new();
    let options = SessionOptions {
        trusted_resolvers: [Some(resolver), None, None, None],
        ..SessionOptions::default()
    };
    let session = tracer.attach_path(&cgroup.0, options).unwrap();
    let tgid = cgroup.run(&format!("ask={resolver} tcp={server}"))[0].tgid;
    let (mut named, mut answers) = (Vec::new(), Vec::new());
    for event in tracer.events(None) {
        let event = event.unwrap();
        if event.kind() == Kind::DNS_ANSWER {
            assert_eq!(event.remote(), Some(resolver));
            answers.push(tracer.event_dns(&event).unwrap().unwrap());
        }
        if event.remote() == Some(server) {
            let name = tracer.event_name(&event).unwrap().unwrap();
            assert_eq!(
                (name.asked.as_str(), name.owner.as_str(), name.source),
                ("www.example.org", "cdn.example.net", NameSource::DNS)
            );
            assert_eq!((name.resolver, name.asker_tgid), (Some(resolver), tgid));
            named.push(event.kind());
            if event.kind() == Kind::CLOSED {
                break;
            }
        }
    }
    assert_eq!(named, [Kind::CONNECT, Kind::CONNECTED, Kind::CLOSED]);
    assert_eq!(answers.len(), 1);
    let dns = &answers[0];
    assert_eq!(
        (dns.question_type, dns.rcode, dns.flags),
        (1, 0, DnsFlags::empty())
    );
    assert_eq!(
        dns.addresses,
        [("127.0.0.1".parse().unwrap(), Duration::from_secs(300))]
    );
    let stats = session.stats().unwrap();
    assert_eq!((stats.answers, stats.answers_untrusted), (1, 0));
}

#[test]
fn threads_attach_and_detach_during_a_read() {
    let tracer = Tracer::options().open().unwrap();
    let address = server("127.0.0.1:0");
    let seen = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for event in tracer.events(None) {
                seen.lock().unwrap().push(event.unwrap().session_id());
            }
        });
        let writers: Vec<_> = (1..=2)
            .map(|id| {
                let tracer = &tracer;
                scope.spawn(move || {
                    for _ in 0..3 {
                        let cgroup = Cgroup::new();
                        let _session = tracer.attach_path(&cgroup.0, id.into()).unwrap();
                        cgroup.run(&format!("tcp={address}"));
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        while seen.lock().unwrap().len() < 6 {
            thread::yield_now();
        }
        tracer.wake();
        reader.join().unwrap();
    });
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, [1, 1, 1, 2, 2, 2]);
    assert_eq!(tracer.stats().unwrap().sessions, 0);
}

#[test]
fn loss_is_counted() {
    let options = Tracer::options()
        .flags(OpenFlags::UDP_NO_DEDUP)
        .ring_size(65536);
    let tracer = options.ring_quota(100).open().unwrap();
    let cgroup = Cgroup::new();
    let session = tracer.attach_path(&cgroup.0, 1.into()).unwrap();
    cgroup.run("flood=127.0.0.1:9");
    let lost = session.stats().unwrap().lost;
    assert!(lost > 0);
    let count = tracer
        .events(Some(Duration::ZERO))
        .map(Result::unwrap)
        .count() as u64;
    assert_eq!(count + lost, 500);
    cgroup.run("send=127.0.0.1:9");
    let event = tracer.events(None).next().unwrap().unwrap();
    assert_eq!(event.session_lost(), lost);
}

#[test]
fn a_removed_cgroup() {
    let tracer = Tracer::options().check_interval_ms(100).open().unwrap();
    let cgroup = Cgroup::new();
    let session = tracer
        .attach(File::open(&cgroup.0).unwrap(), 5.into())
        .unwrap();
    let error = tracer.attach_path(&cgroup.0, 6.into()).unwrap_err();
    assert_eq!(error.raw_os_error(), EEXIST);
    let whole = session.check().unwrap();
    assert_eq!((whole.error, whole.hooks), (0, tracer.hooks()));
    assert_eq!(
        (whole.attached, whole.effective),
        (whole.wanted, whole.wanted)
    );
    assert_ne!(whole.wanted & Check::CONNECT4.mask(), 0);
    let id = inode(&cgroup.0);
    drop(cgroup);
    assert_eq!(session.check().unwrap().error, ENOENT);
    let blind = tracer.events(None).next().unwrap().unwrap();
    assert_eq!((blind.kind(), blind.error()), (Kind::SESSION_BLIND, ENOENT));
    assert_eq!(
        (blind.session_id(), blind.cgroup_id(), blind.remote()),
        (5, id, None)
    );
}

#[test]
fn not_a_cgroup() {
    let tracer = Tracer::options().open().unwrap();
    let error = tracer.attach_path("/", 1.into()).unwrap_err();
    assert_eq!(
        (error.raw_os_error(), error.step()),
        (ENOTDIR, Step::CGROUP)
    );
    assert_eq!(tracer.stats().unwrap().attach_failures, 1);
}

#[test]
fn probe_and_coverage() {
    let caps = probe(0).unwrap();
    assert!(caps.usable, "{}", caps.reason);
    assert_ne!(caps.available & Check::RINGBUF.mask(), 0);
    assert!(cgroup_path().unwrap().starts_with(&caps.cgroup2_path));
    let tracer = Tracer::options().open().unwrap();
    let coverage = tracer.coverage(RulesFlags::empty()).unwrap();
    assert_eq!(coverage.enforced, 0);
    assert_ne!(coverage.seen & Path::TCP_CONNECT.mask(), 0);
    assert_ne!(coverage.unseen & Path::UNIX.mask(), 0);
    for path in coverage.paths() {
        let sets = [coverage.seen, coverage.implied, coverage.unseen];
        assert_eq!(
            sets.iter().filter(|set| *set & path.mask() != 0).count(),
            1,
            "{path:?}"
        );
    }
}

#[test]
fn log() {
    let mut lines = Vec::new();
    let options = Tracer::options().simulate_missing(Check::BTF.mask());
    options
        .log(|level, text| lines.push((level, text.to_string())))
        .open()
        .unwrap();
    let line = (
        LogLevel::INFO,
        "/sys/kernel/btf/vmlinux is missing (simulated)".to_string(),
    );
    assert!(lines.contains(&line));

    let options = Tracer::options().simulate_missing(Check::BTF.mask());
    let options = options.log(|_, _| panic!("a panic of the host"));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| options.open()));
    assert_eq!(
        panic.unwrap_err().downcast_ref(),
        Some(&"a panic of the host")
    );
}

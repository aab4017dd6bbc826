// SPDX-License-Identifier: Apache-2.0
//! Synthetic tracers: no privilege is required.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::io::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use agentsh_ebpf::*;

const EPERM: i32 = 1;
const EBADF: i32 = 9;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const EOPNOTSUPP: i32 = 95;
const ENOBUFS: i32 = 105;
const ECANCELED: i32 = 125;
const IPPROTO_TCP: u16 = 6;

fn synthetic() -> TracerOptions<'static> {
    Tracer::options().mode(Mode::SYNTHETIC)
}

fn attach(tracer: &Tracer, session_id: u64) -> Session {
    tracer.attach_path("/", session_id.into()).unwrap()
}

fn event(number: u64) -> Event {
    let remote = "192.0.2.1:443".parse().unwrap();
    let mut event = Event::new(Kind::CONNECT, IPPROTO_TCP, remote);
    event.as_raw_mut().cgroup_id = number;
    event
}

fn drain(tracer: &Tracer) -> Vec<u64> {
    tracer
        .events(Some(Duration::ZERO))
        .map(|event| event.unwrap().cgroup_id())
        .collect()
}

#[test]
fn event_comes_back() {
    let tracer = synthetic().open().unwrap();
    let session = attach(&tracer, 7);
    for remote in ["192.0.2.1:443", "[2001:db8::2]:53"] {
        let remote: SocketAddr = remote.parse().unwrap();
        let mut sent = Event::new(Kind::CLOSED, IPPROTO_TCP, remote);
        let raw = sent.as_raw_mut();
        raw.flags = (Flags::INBOUND | Flags::LOCAL_CLOSED).bits();
        raw.local_port = 99;
        raw.local_addr = raw.remote_addr;
        raw.duration_ns = 1_500_000_000;
        raw.error = EPERM;
        for (to, from) in raw.comm.iter_mut().zip(b"\x1b\xff") {
            *to = *from as _;
        }
        for (to, from) in raw.process_comm.iter_mut().zip(b"0123456789abcde") {
            *to = *from as _;
        }
        session.inject(&sent).unwrap();
        let got = tracer.events(None).next().unwrap().unwrap();
        assert_eq!(got.kind(), Kind::CLOSED);
        assert_eq!(got.kind().name(), "closed");
        assert_eq!(got.flags(), Flags::INBOUND | Flags::LOCAL_CLOSED);
        assert_eq!(got.remote(), Some(remote));
        assert_eq!(got.local(), Some(SocketAddr::new(remote.ip(), 99)));
        assert_eq!(got.duration(), Duration::from_millis(1500));
        assert_eq!(
            (got.session_id(), got.session_lost(), got.error()),
            (7, 0, EPERM)
        );
        assert_eq!((got.protocol(), got.protocol_name()), (IPPROTO_TCP, "tcp"));
        assert_eq!(got.comm(), b"\x1b\xff");
        assert_eq!(got.comm_lossy(), "\x1b\u{fffd}");
        assert_eq!(got.process_comm(), b"0123456789abcde");
        assert_eq!(got.process_comm_lossy(), "0123456789abcde");
        let age = SystemTime::now()
            .duration_since(got.realtime())
            .unwrap_or_default();
        assert!(age < Duration::from_secs(600), "{age:?}");
        let text = format!("{got:?}");
        assert!(
            text.contains("kind: CLOSED") && !text.contains('\x1b'),
            "{text}"
        );
    }
    let none = Event::default();
    assert_eq!((none.remote(), none.local_addr()), (None, None));
}

#[test]
fn unknown_numbers() {
    let tracer = synthetic().open().unwrap();
    let mut sent = event(1);
    sent.as_raw_mut().kind = 200;
    sent.as_raw_mut().flags = 0x8001;
    attach(&tracer, 1).inject(&sent).unwrap();
    let got = tracer.events(None).next().unwrap().unwrap();
    assert_eq!(
        format!("{:?} {:?}", got.kind(), got.flags()),
        "200 V4_MAPPED|0x8000"
    );
    assert_eq!(got.kind().name(), "unknown");
    assert_eq!(format!("{:?}", Hooks::empty()), "0x0");
}

#[test]
fn batches_and_timeouts() {
    let tracer = synthetic().open().unwrap();
    let session = attach(&tracer, 1);
    assert!(tracer
        .events(Some(Duration::from_millis(5)))
        .next()
        .is_none());
    for number in 0..600 {
        session.inject(&event(number)).unwrap();
    }
    let mut events = tracer.events(Some(Duration::ZERO));
    assert_eq!(events.next().unwrap().unwrap().cgroup_id(), 0);
    assert_eq!(events.unread().len(), 255);
    let mut numbers = vec![0];
    let mut sizes = Vec::new();
    while let Some(batch) = events.next_batch().unwrap() {
        sizes.push(batch.len());
        numbers.extend(batch.iter().map(Event::cgroup_id));
    }
    assert_eq!(sizes, [255, 256, 88]);
    assert_eq!(numbers, (0..600).collect::<Vec<_>>());
    assert_eq!(
        tracer.read(&mut [], None).unwrap_err().raw_os_error(),
        34 /* ERANGE */
    );
    session.inject(&event(3)).unwrap();
    let mut buffer = [Event::default(); 2];
    assert_eq!(tracer.read(&mut buffer, None), Ok(1));
    assert_eq!((buffer[0].cgroup_id(), buffer[1].cgroup_id()), (3, 0));
}

#[test]
fn an_iterator_that_is_dropped_loses_no_event() {
    let tracer = synthetic().open().unwrap();
    let session = attach(&tracer, 1);
    for number in 0..600 {
        session.inject(&event(number)).unwrap();
    }
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let events = tracer.events(None);
        numbers.extend(events.take(100).map(|event| event.unwrap().cgroup_id()));
    }
    let mut buffer = [Event::default(); 100];
    for _ in 0..2 {
        assert_eq!(tracer.read(&mut buffer, None), Ok(100));
        numbers.extend(buffer.iter().map(Event::cgroup_id));
    }
    numbers.extend(drain(&tracer));
    assert_eq!(numbers, (0..600).collect::<Vec<_>>());
}

#[test]
fn second_reader() {
    let tracer = synthetic().open().unwrap();
    let read = |timeout| {
        let result = tracer.read(&mut [Event::default()], timeout);
        result.map_err(|error| error.raw_os_error())
    };
    thread::scope(|scope| {
        // Either thread may be the second one.
        let reader = scope.spawn(|| loop {
            match read(None) {
                Err(EBUSY) => {}
                result => break result,
            }
        });
        while read(Some(Duration::ZERO)) != Err(EBUSY) {
            thread::yield_now();
        }
        tracer.wake();
        assert_eq!(reader.join().unwrap(), Ok(0));
    });
}

#[test]
fn one_reader_and_many_threads() {
    let tracer = synthetic().open().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut sum = 0;
            while !stop.load(Ordering::Acquire) {
                for event in tracer.events(None) {
                    sum += event.unwrap().session_id();
                }
            }
            sum
        });
        let writers: Vec<_> = (1..=3)
            .map(|id| {
                let tracer = &tracer;
                scope.spawn(move || {
                    for _ in 0..50 {
                        let session = attach(tracer, id);
                        session.inject(&event(0)).unwrap();
                        assert!(session.stats().unwrap().delivered <= 1);
                        session.detach().unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        while tracer.stats().unwrap().delivered < 150 {
            thread::yield_now();
        }
        stop.store(true, Ordering::Release);
        tracer.wake();
        assert_eq!(reader.join().unwrap(), 50 * (1 + 2 + 3));
    });
    assert_eq!(tracer.stats().unwrap().sessions, 0);
}

#[test]
fn sessions_move_to_other_threads_and_keep_the_tracer() {
    let tracer = synthetic().open().unwrap();
    let fd = tracer.as_raw_fd();
    assert_eq!(tracer.as_fd().as_raw_fd(), fd);
    let link = format!("/proc/self/fd/{fd}");
    let open = || std::fs::read_link(&link).map(|path| path.ends_with("anon_inode:[eventpoll]"));
    let session = attach(&tracer, 1);
    assert!(session.is_of(&tracer));
    drop(tracer);
    assert!(open().unwrap());
    thread::spawn(move || {
        session.inject(&event(1)).unwrap();
        assert_eq!(session.stats().unwrap().sessions, 1);
    })
    .join()
    .unwrap();
}

#[test]
fn drop_and_detach() {
    let tracer = synthetic().max_sessions(2).open().unwrap();
    for _ in 0..10 {
        let session = attach(&tracer, 1);
        session.inject(&event(5)).unwrap();
        drop(session);
        attach(&tracer, 2).detach().unwrap();
        assert_eq!(tracer.stats().unwrap().sessions, 0);
        assert_eq!(drain(&tracer), [5]);
    }
    let kept = [attach(&tracer, 1), attach(&tracer, 2)];
    let error = tracer.attach_path("/", 3.into()).unwrap_err();
    assert_eq!(
        (error.raw_os_error(), error.step()),
        (28 /* ENOSPC */, Step::SESSION_SLOT)
    );
    assert_eq!(kept[1].session_id(), 2);
}

#[test]
fn loss_is_counted() {
    let tracer = synthetic().ring_size(65536).open().unwrap();
    let session = attach(&tracer, 1);
    let mut injected = 0;
    let error = loop {
        match session.inject(&event(injected)) {
            Ok(()) => injected += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.raw_os_error(), ENOBUFS);
    assert_eq!(drain(&tracer), (0..injected).collect::<Vec<_>>());
    session.inject(&event(0)).unwrap();
    assert_eq!(
        tracer.events(None).next().unwrap().unwrap().session_lost(),
        1
    );
    let stats = session.stats().unwrap();
    assert_eq!((stats.delivered, stats.lost), (injected + 1, 1));
}

#[test]
fn errors() {
    fn is_error(_: &(dyn std::error::Error + Send + Sync)) {}

    let tracer = synthetic().open().unwrap();
    let error = tracer.attach(
        File::open("/").unwrap(),
        SessionOptions {
            flags: AttachFlags::from_bits(1 << 31),
            ..SessionOptions::default()
        },
    );
    let error = error.unwrap_err();
    is_error(&error);
    assert_eq!(
        (error.raw_os_error(), error.step()),
        (EINVAL, Step::OPTIONS)
    );
    assert_eq!(error.step().name(), "options");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.message().contains("flags"), "{error}");
    let converted = io::Error::from(error.clone());
    assert_eq!(
        (converted.kind(), converted.to_string()),
        (error.kind(), error.to_string())
    );
    let missing = tracer
        .attach_path("/no such directory", 1.into())
        .unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let error = tracer.coverage(RulesFlags::empty()).unwrap_err();
    assert_eq!(error.raw_os_error(), EOPNOTSUPP);
    assert_eq!(
        attach(&tracer, 1).check().unwrap_err().raw_os_error(),
        EOPNOTSUPP
    );
    let disabled = Tracer::options().mode(Mode::DISABLED).open().unwrap_err();
    assert_eq!(disabled.raw_os_error(), ECANCELED);
    assert_ne!(disabled.raw_os_error(), EBADF);
}

/// Each option has a value that the library refuses, so an option that got lost is found.
#[test]
fn every_option_is_passed_on() {
    const BAD: u32 = u32::MAX - 1;
    let refused = [
        ("mode", synthetic().mode(Mode::from_raw(BAD))),
        ("hooks", synthetic().hooks(Hooks::from_bits(BAD))),
        (
            "required_hooks",
            synthetic().required_hooks(Hooks::from_bits(BAD)),
        ),
        ("flags", synthetic().flags(OpenFlags::from_bits(BAD))),
        ("ring_size", synthetic().ring_size(BAD)),
        ("ring_quota", synthetic().ring_quota(BAD)),
        ("max_sessions", synthetic().max_sessions(BAD)),
        ("max_sockets", synthetic().max_sockets(BAD)),
        ("udp_dedup_entries", synthetic().udp_dedup_entries(BAD)),
        ("wakeup_delay_us", synthetic().wakeup_delay_us(BAD)),
        ("check_interval_ms", synthetic().check_interval_ms(BAD)),
        (
            "progress_interval_ms",
            synthetic().progress_interval_ms(BAD),
        ),
        ("simulate_missing", synthetic().simulate_missing(u64::MAX)),
    ];
    for (name, options) in refused {
        let error = options.open().expect_err(name);
        assert!(error.message().contains(name), "{name}: {error}");
    }
}

#[test]
fn probe_says_what_is_missing() {
    let mask = Check::CONNECT4.mask() | Check::CGROUP2.mask();
    assert_eq!(checks_parse("connect4,cgroup2"), Ok(mask));
    assert_eq!(checks_parse("a\0b").unwrap_err().raw_os_error(), EINVAL);
    assert!(checks_parse("nothing")
        .unwrap_err()
        .message()
        .contains("nothing"));
    let caps = probe(mask).unwrap();
    assert!(!caps.usable && !caps.reason.is_empty());
    assert_eq!(
        (caps.missing & mask, caps.missing & caps.available),
        (mask, 0)
    );
    let check = &caps.checks[Check::CONNECT4.raw() as usize];
    assert_eq!(
        (check.check, check.status),
        (Check::CONNECT4, Status::SIMULATED)
    );
    assert_eq!(
        (check.check.name(), check.status.name()),
        ("connect4", "simulated")
    );
    assert!(check.required && !check.check.hint().is_empty());
    let (major, minor, _) = caps.kernel_version;
    assert!(
        caps.kernel_release
            .starts_with(&format!("{major}.{minor}.")),
        "{caps:?}"
    );
}

#[test]
fn environment() {
    // The only test that changes the environment, and the only one that reads it.
    std::env::remove_var("AGENTSH_EBPF_SIMULATE_MISSING");
    std::env::remove_var("AGENTSH_EBPF");
    assert_eq!(mode_from_env(Mode::REQUIRED), Ok((Mode::REQUIRED, 0)));
    std::env::set_var("AGENTSH_EBPF", "off");
    std::env::set_var("AGENTSH_EBPF_SIMULATE_MISSING", "btf");
    assert_eq!(
        mode_from_env(Mode::AUTO),
        Ok((Mode::DISABLED, Check::BTF.mask()))
    );
    std::env::set_var("AGENTSH_EBPF", "perhaps");
    assert!(mode_from_env(Mode::AUTO)
        .unwrap_err()
        .message()
        .contains("perhaps"));
}

#[test]
fn names() {
    assert_eq!(version().split('.').count(), 3);
    assert!(hooks_built().contains(Hooks::CONNECT));
    assert_eq!(Hooks::LIFECYCLE.name(), "lifecycle");
    assert_eq!(Path::TCP_CONNECT.name(), "tcp_connect");
    assert!(!Path::UNIX.note().is_empty());
    assert_eq!(!(!Hooks::UDP & !Hooks::empty()), Hooks::UDP);
}

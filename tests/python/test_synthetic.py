#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/python/agentsh_ebpf.py with synthetic tracers: no privilege is required."""
import contextlib
import copy
import errno
import gc
import ipaddress
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

from support import Case, Thread, connect_event, descriptors, ebpf, in_child, main


class Events(Case):
    def test_all_members_come_back(self):
        tracer, session = self.synthetic()
        sent = ebpf.Event()
        for number, (name, kind) in enumerate(ebpf.Event._fields_):
            if kind in (ebpf.c_uint16, ebpf.c_uint32, ebpf.c_uint64, ebpf.c_int32) and name not in (
                    "reserved0", "name_id", "_verdict", "rule_id"):  # rules: test_rules.py
                setattr(sent, name, 100 + number)
        sent.kind, sent.flags = ebpf.Kind.CLOSED, ebpf.Flag.INBOUND | ebpf.Flag.LOCAL_CLOSED
        sent.family, sent.local_addr, sent.remote_addr = socket.AF_INET6, "2001:db8::1", "2001:db8::2"
        sent.comm, sent.process_comm = "thread", b"process"
        session.inject(sent)
        (event,) = tracer.read()
        expected = copy.copy(sent)
        expected.session_id, expected.session_lost = 7, 0
        self.assertEqual(event, expected)
        self.assertIs(event.kind, ebpf.Kind.CLOSED)
        self.assertEqual(event.flags, ebpf.Flag.INBOUND | ebpf.Flag.LOCAL_CLOSED)
        self.assertIsInstance(event.flags, ebpf.Flag)
        self.assertEqual(event.local_addr, ipaddress.ip_address("2001:db8::1"))
        self.assertEqual(event.remote_addr, ipaddress.ip_address("2001:db8::2"))
        self.assertEqual((event.comm, event.process_comm), ("thread", "process"))
        self.assertEqual(event.kind_name, "closed")
        self.assertNotEqual(event, sent)

    def test_addresses(self):
        event = connect_event()
        self.assertEqual(event.remote_addr, ipaddress.IPv4Address("192.0.2.1"))
        event.remote_addr = ipaddress.IPv4Address("192.0.2.3")
        self.assertEqual(str(event.remote_addr), "192.0.2.3")
        event.family = 0
        self.assertIsNone(event.remote_addr)
        self.assertIsNone(event.local_addr)

    def test_names_are_what_the_process_chose(self):
        event = ebpf.Event(comm=b"\x1b[2J\xff\xfe", process_comm=b"\xc3\xbc")
        self.assertEqual(event.comm, "\x1b[2J\\xff\\xfe")
        self.assertEqual(event.comm_bytes, b"\x1b[2J\xff\xfe")
        self.assertEqual((event.process_comm, event.process_comm_bytes), ("ü", b"\xc3\xbc"))
        self.assertNotIn("\x1b", repr(event))

    def test_unknown_values(self):
        tracer, session = self.synthetic()
        session.inject(ebpf.Event(kind=200, flags=0x8001, protocol=250))
        (event,) = tracer.read()
        self.assertEqual((event.kind, event.kind_name, event.protocol_name), (200, "unknown", "unknown"))
        self.assertEqual(int(event.flags), 0x8001)
        self.assertIn(ebpf.Flag.V4_MAPPED, event.flags)
        self.assertIn("200", repr(event))

    def test_realtime(self):
        tracer, session = self.synthetic()
        before = time.time_ns()
        session.inject(connect_event())
        (event,) = tracer.read()
        self.assertTrue(before - 10**6 <= event.realtime_ns <= time.time_ns() + 10**6)

    def test_copies(self):
        event = connect_event(5)
        self.assertEqual(pickle.loads(pickle.dumps(event)), event)
        self.assertEqual(ebpf.Event.from_buffer_copy(bytes(event)), event)
        with self.assertRaises(TypeError):
            hash(event)

    def test_later_reads_do_not_change_an_event(self):
        tracer, session = self.synthetic()
        session.inject(connect_event(1))
        first = next(tracer)
        session.inject(connect_event(2))
        self.assertEqual((next(tracer).cgroup_id, first.cgroup_id), (2, 1))


class Reading(Case):
    def test_no_event(self):
        tracer, _ = self.synthetic()
        self.assertEqual(tracer.read(timeout=0), [])
        self.assertEqual(tracer.read(timeout=0.01), [])
        tracer.wake()
        self.assertEqual(tracer.read(), [])
        with self.assertRaises(ValueError):
            tracer.read(0)

    def test_a_loop_that_is_left_loses_no_event(self):
        tracer, session = self.synthetic()
        for number in range(600):
            session.inject(connect_event(number))
        got = []
        for stop in (1, 300, 400, 600):
            for event in tracer:
                got.append(event.cgroup_id)
                if len(got) == stop:
                    break
            if stop == 300:
                got += [event.cgroup_id for event in tracer.read(1)]
        self.assertEqual(got, list(range(600)))
        self.assertEqual(tracer.stats().delivered, 600)

    def test_wake_does_not_end_an_iteration(self):
        tracer, session = self.synthetic()
        thread = Thread(lambda: next(tracer))
        self.wait_until_read(tracer)
        tracer.wake()
        session.inject(connect_event(3))
        self.assertEqual(thread.join().cgroup_id, 3)

    def test_many_events_with_a_reader(self):
        tracer, session = self.synthetic()
        count = 20000

        def inject():
            lost = 0
            for number in range(count):
                try:
                    session.inject(connect_event(number))
                except ebpf.AgentshEbpfError as error:
                    self.assertEqual(error.errno, errno.ENOBUFS)
                    lost += 1
            return lost

        thread = Thread(inject)
        numbers = []
        while thread.is_alive():
            numbers += [event.cgroup_id for event in tracer.read(100, timeout=0.01)]
        lost = thread.join()
        while events := tracer.read(100, timeout=0):
            numbers += [event.cgroup_id for event in events]
        self.assertEqual(numbers, sorted(set(numbers)))
        stats = session.stats()
        self.assertEqual((len(numbers) + lost, stats.lost), (count, lost))

    def test_loss_is_counted(self):
        tracer, session = self.synthetic(ring_size=os.sysconf("SC_PAGE_SIZE"))
        injected = 0
        with self.fails(errno.ENOBUFS):
            while True:
                session.inject(connect_event())
                injected += 1
        self.assertGreater(injected, 0)
        events = tracer.read()
        self.assertEqual(len(events), injected)
        self.assertEqual({event.session_lost for event in events}, {0})
        session.inject(connect_event())
        self.assertEqual([event.session_lost for event in tracer.read()], [1])
        self.assertEqual((session.stats().lost, session.stats().delivered), (1, injected + 1))

    def test_second_reader(self):
        tracer, _ = self.synthetic()
        thread = Thread(tracer.read)
        self.wait_until_read(tracer)
        with self.fails(errno.EBUSY):
            tracer.read(timeout=0)
        tracer.wake()
        self.assertEqual(thread.join(), [])

    def test_other_threads_use_the_tracer_during_a_read(self):
        tracer, session = self.synthetic(max_sessions=4)
        reader = Thread(lambda: [next(tracer).session_id for _ in range(60)])

        def use(number):
            for _ in range(20):
                with tracer.attach("/", session_id=number) as other:
                    other.inject(connect_event())
                    self.assertLessEqual(other.stats().delivered, 1)
                    self.assertGreaterEqual(tracer.stats().sessions, 2)

        threads = [Thread(lambda number=number: use(number)) for number in (1, 2, 3)]
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(reader.join()), [1] * 20 + [2] * 20 + [3] * 20)
        self.assertEqual(tracer.stats().sessions, 1)
        session.detach()

    def test_a_poll_on_the_descriptor(self):
        import select

        tracer, session = self.synthetic()
        poll = select.poll()
        poll.register(tracer, select.POLLIN)
        self.assertEqual(poll.poll(0), [])
        session.inject(connect_event())
        self.assertEqual(poll.poll(), [(tracer.fileno(), select.POLLIN)])
        self.assertEqual(len(tracer.read(timeout=0)), 1)


class Closing(Case):
    def test_in_the_loop(self):
        tracer, session = self.synthetic()
        for number in range(10):
            session.inject(connect_event(number))
        seen = 0
        for _ in tracer:
            seen += 1
            tracer.close()
        self.assertEqual(seen, 1)
        self.assertEqual(list(tracer), [])

    def test_from_another_thread(self):
        for action in (lambda tracer: list(tracer), lambda tracer: tracer.read()):
            before = descriptors()
            tracer = ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC)
            thread = Thread(lambda: action(tracer))
            self.wait_until_read(tracer)
            tracer.close()
            self.assertEqual(descriptors(), before)  # close() has waited for the read
            self.assertEqual(thread.join(), [])

    def test_while_threads_use_it(self):
        for _ in range(50):
            tracer = ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC)
            session = tracer.attach("/")

            def use():
                while True:
                    try:
                        session.inject(connect_event())
                        session.stats()
                        tracer.hooks
                    except ebpf.AgentshEbpfError as error:
                        self.assertEqual(error.errno, errno.ENOBUFS)
                    except ValueError:
                        return tracer.closed

            threads = [Thread(use), Thread(use), Thread(lambda: [None for _ in tracer] is not None)]
            while not tracer.stats().delivered:
                pass
            closers = [Thread(tracer.close), Thread(tracer.close)]
            for thread in closers:
                thread.join()
            self.assertTrue(all(thread.join() for thread in threads))

    def test_from_a_signal_handler(self):
        tracer, _ = self.synthetic()
        previous = signal.signal(signal.SIGUSR1, lambda *_: tracer.close())
        self.addCleanup(signal.signal, signal.SIGUSR1, previous)
        main_thread = threading.main_thread().ident

        def interrupt():
            self.wait_until_read(tracer)
            while not tracer.closed:  # the first signal may come before the read waits
                signal.pthread_kill(main_thread, signal.SIGUSR1)
                time.sleep(0.01)

        thread = Thread(interrupt)
        self.assertEqual(list(tracer), [])
        thread.join()
        self.assertIsNone(tracer._pointer)

    def test_a_signal_handler_that_raises(self):
        class Interrupted(Exception):
            pass

        def handler(*_):
            raise Interrupted

        tracer, session = self.synthetic()
        previous = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, previous)
        main_thread = threading.main_thread().ident

        def interrupt():
            self.wait_until_read(tracer)
            time.sleep(0.05)  # a signal before the wait would be handled after it
            signal.pthread_kill(main_thread, signal.SIGUSR1)
            time.sleep(0.5)
            tracer.wake()  # if the signal came too early all the same

        thread = Thread(interrupt)
        with self.assertRaises(Interrupted):
            tracer.read()
        thread.join()
        tracer.read(timeout=0)
        session.inject(connect_event(4))
        self.assertEqual(next(tracer).cgroup_id, 4)

    def test_twice_and_later_calls(self):
        with ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC) as tracer:
            with tracer.attach("/") as session:
                self.assertFalse(tracer.closed)
            session.detach()
            other = tracer.attach("/")
        tracer.close()
        self.assertTrue(tracer.closed)
        other.detach()
        for call in (tracer.read, tracer.stats, tracer.wake, tracer.fileno, other.stats, other.check,
                     lambda: tracer.hooks, lambda: tracer.attach("/"), lambda: other.inject(connect_event())):
            with self.assertRaises(ValueError):
                call()

    def test_session_that_was_detached(self):
        tracer, session = self.synthetic()
        session.inject(connect_event(1))
        session.detach()
        session.detach()
        with self.fails(errno.EINVAL):
            session.stats()
        self.assertEqual(next(tracer).cgroup_id, 1)

    def test_objects_that_are_dropped(self):
        before = descriptors()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tracer = ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC)
            tracer.attach("/")
            gc.collect()
            self.assertEqual(tracer.stats().sessions, 1)  # the session stays attached
            session = tracer.attach("/")
            del tracer
            gc.collect()
            session.inject(connect_event())  # and keeps its tracer
            self.assertEqual(caught, [])
            del session
            gc.collect()
        self.assertEqual([warning.category for warning in caught], [ResourceWarning])
        self.assertEqual(descriptors(), before)


class Forking(Case):
    def test_child(self):
        tracer, session = self.synthetic()
        session.inject(connect_event(9))

        def child():
            for call in (lambda: tracer.read(timeout=0), lambda: tracer.attach("/"),
                         lambda: session.inject(connect_event())):
                with self.fails(errno.EPERM):
                    call()
            session.detach()
            tracer.close()

        self.assertEqual(in_child(child), 0)
        self.assertEqual(next(tracer).cgroup_id, 9)
        session.inject(connect_event(10))
        self.assertEqual(next(tracer).cgroup_id, 10)

    def test_while_another_thread_reads(self):
        tracer, session = self.synthetic()
        thread = Thread(lambda: next(tracer))
        self.wait_until_read(tracer)

        def child():
            with self.fails(errno.EPERM):
                tracer.read()
            tracer.close()  # does not wait for the thread, which the child does not have

        self.assertEqual(in_child(child), 0)
        session.inject(connect_event(11))
        self.assertEqual(thread.join().cgroup_id, 11)


class Functions(Case):
    def test_errors(self):
        tracer, _ = self.synthetic()
        with self.fails(errno.EBADF, ebpf.Step.CGROUP) as caught:
            tracer.attach(-1)
        error = caught.exception
        self.assertIsInstance(error, OSError)
        self.assertIn(error.message, str(error))
        same = pickle.loads(pickle.dumps(error))
        self.assertEqual((same.errno, same.message, same.step), (error.errno, error.message, error.step))
        for options, code in (({"ring_size": 5}, errno.ERANGE), ({"ring_quota": 101}, errno.ERANGE),
                              ({"hooks": 1 << 30}, errno.EINVAL), ({"mode": 77}, errno.EINVAL)):
            with self.subTest(options), self.assertRaises(ebpf.AgentshEbpfError) as caught:
                ebpf.Tracer(**{"mode": ebpf.Mode.SYNTHETIC, **options})
            self.assertIn(caught.exception.errno, (code, errno.EINVAL))
            self.assertEqual(caught.exception.step, ebpf.Step.OPTIONS)
        with self.fails(errno.ECANCELED):
            ebpf.Tracer(mode=ebpf.Mode.DISABLED)
        with self.fails(errno.EOPNOTSUPP):
            tracer.coverage()
        with self.assertRaises(FileNotFoundError):
            tracer.attach("/no such directory")

    def test_every_option_is_passed_on(self):
        """Each option has a value that the library refuses, so an option that got lost is found."""
        for name in ("ring_size", "ring_quota", "max_sessions", "max_sockets", "udp_dedup_entries", "wakeup_delay_us",
                     "check_interval_ms", "progress_interval_ms"):
            with self.subTest(name), self.assertRaises(ebpf.AgentshEbpfError) as caught:
                ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC, **{name: 2**32 - 2})
            self.assertIn(name, caught.exception.message)
        for name in ("mode", "hooks", "required_hooks", "flags", "simulate_missing"):
            with self.subTest(name), self.assertRaises(ebpf.AgentshEbpfError) as caught:
                ebpf.Tracer(**{"mode": ebpf.Mode.SYNTHETIC, name: 1 << 31})
            self.assertIn(name, caught.exception.message)
        tracer, _ = self.synthetic()
        with self.assertRaises(ebpf.AgentshEbpfError) as caught:
            tracer.attach("/", flags=2**32 - 2)
        self.assertIn("flags", caught.exception.message)

    def test_mode_from_env(self):
        with contextlib.ExitStack() as stack:
            for name in ("AGENTSH_EBPF", "AGENTSH_EBPF_SIMULATE_MISSING"):
                value = os.environ.pop(name, None)
                stack.callback(lambda name=name, value=value: os.environ.update({name: value} if value else {}))
                stack.callback(os.environ.pop, name, None)
            self.assertEqual(ebpf.mode_from_env(ebpf.Mode.REQUIRED, 4), (ebpf.Mode.REQUIRED, 4))
            os.environ["AGENTSH_EBPF"] = "off"
            os.environ["AGENTSH_EBPF_SIMULATE_MISSING"] = "btf,cgroup2"
            mode, missing = ebpf.mode_from_env()
            self.assertIs(mode, ebpf.Mode.DISABLED)
            self.assertEqual(missing, ebpf.Check.BTF.mask | ebpf.Check.CGROUP2.mask)
            os.environ["AGENTSH_EBPF"] = "perhaps"
            with self.fails(errno.EINVAL) as caught:
                ebpf.mode_from_env()
            self.assertIn("perhaps", caught.exception.message)

    def test_names(self):
        self.assertEqual(ebpf.checks_parse("btf"), ebpf.Check.BTF.mask)
        with self.fails(errno.EINVAL):
            ebpf.checks_parse("nothing")
        self.assertEqual(ebpf.version().count("."), 2)
        self.assertIn(ebpf.Hook.CONNECT, ebpf.hooks_built())
        self.assertTrue(ebpf.Path.UNIX.note)
        self.assertEqual(connect_event().protocol_name, "tcp")

    def test_probe_says_what_is_missing(self):
        caps = ebpf.probe(simulate_missing=[ebpf.Check.CONNECT4, ebpf.Check.CGROUP2])
        self.assertFalse(caps.usable)
        self.assertTrue(caps.reason)
        self.assertLessEqual({ebpf.Check.CONNECT4, ebpf.Check.CGROUP2}, caps.missing)
        self.assertFalse(caps.missing & caps.available)
        self.assertEqual([result.check for result in caps.checks], list(ebpf.Check))
        result = caps.checks[ebpf.Check.CONNECT4]
        self.assertEqual((result.name, result.status, result.required),
                         ("connect4", ebpf.Status.SIMULATED, True))
        self.assertTrue(all(result.hint for result in caps.checks if result.required))
        release = os.uname().release
        self.assertEqual(caps.kernel_release, release)
        self.assertTrue(release.startswith(f"{caps.kernel_version[0]}.{caps.kernel_version[1]}."))

    def test_loading(self):
        def python(code):
            path = os.path.dirname(ebpf.__file__)
            return subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path},
                                  check=False, capture_output=True, text=True)

        library = os.environ["AGENTSH_EBPF_TEST_LIBRARY"]
        self.assertEqual(python(f"import agentsh_ebpf as e; e.load({library!r}); print(e.version())").stdout.strip(),
                         ebpf.version())
        self.assertIn("OSError", python("import agentsh_ebpf as e; e.load('/no/such.so')").stderr)
        with self.assertRaises(RuntimeError):
            ebpf.load(library)


main()

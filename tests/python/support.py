# SPDX-License-Identifier: Apache-2.0
"""Shared by the tests in this directory: loads the module and the library under test."""
import contextlib
import os
import pathlib
import socket
import sys
import threading
import unittest

top = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(top / "examples/python"))
import agentsh_ebpf as ebpf  # noqa: E402

ebpf.load(os.environ["AGENTSH_EBPF_TEST_LIBRARY"])


def connect_event(number=0):
    """An event that names its number in remote_port and cgroup_id."""
    return ebpf.Event(kind=ebpf.Kind.CONNECT, family=socket.AF_INET, protocol=socket.IPPROTO_TCP,
                      remote_addr="192.0.2.1", remote_port=number % 65536, cgroup_id=number, comm="curl")


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


def in_child(action):
    """Runs the action in a forked child; the exit status says whether it raised anything."""
    child = os.fork()
    if not child:
        status = 1
        try:
            action()
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Thread(threading.Thread):
    """A thread whose exception is raised again by join()."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.action = target
        self.result = None
        self.raised = None
        self.start()

    def run(self):
        try:
            self.result = self.action()
        except BaseException as exception:
            self.raised = exception

    def join(self, timeout=None):
        super().join(timeout)
        if self.raised is not None:
            raise self.raised
        return self.result


class Case(unittest.TestCase):
    def synthetic(self, **options):
        """A synthetic tracer and its session, closed at the end of the test."""
        tracer = ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC, **options)
        self.addCleanup(tracer.close)
        return tracer, tracer.attach("/", session_id=7)

    @contextlib.contextmanager
    def fails(self, code, step=None):
        with self.assertRaises(ebpf.AgentshEbpfError) as caught:
            yield caught
        self.assertEqual(caught.exception.errno, code)
        self.assertTrue(caught.exception.message)
        if step is not None:
            self.assertEqual(caught.exception.step, step)

    @staticmethod
    def wait_until_read(tracer):
        """Waits until another thread is inside agentsh_ebpf_read()."""
        while not (tracer._reading.locked() and tracer._inside):
            pass


def main():
    program = unittest.main(exit=False, verbosity=2)
    if not program.result.testsRun:
        sys.exit("no test ran")
    sys.exit(not program.result.wasSuccessful())

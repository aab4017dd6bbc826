// SPDX-License-Identifier: Apache-2.0

// Package agentshebpf reports the network connections of the processes in a cgroup v2 as
// events. It is a binding of the C library libagentsh-ebpf.
//
// A [Tracer] is a set of loaded eBPF programs and one ring buffer. A [Session] is one attached
// cgroup, including its descendants. [Tracer.Read] and [Tracer.Events] deliver the events of all
// sessions of a tracer as [Event].
//
// A host opens one tracer, attaches a session per cgroup and reads in one goroutine, which finds
// the session of an event by its SessionID. A goroutine that waits for events waits in the
// network poller of the Go runtime, so it occupies no thread of the operating system.
//
// # Rules
//
// A session may have [Rules], with which the kernel refuses calls whose destination the host does not
// allow: connect(2) and datagrams with a destination fail with EPERM. Rules do not close what needs
// no such call; agentsh_ebpf_rules_create(3) lists it.
//
// # Build
//
// By default the package links with the shared library that pkg-config finds as agentsh-ebpf.
// With the build tag agentshebpf_static it links with the archive (agentsh-ebpf-static), so
// the library need not be installed where the program runs. On systems other than Linux, and with
// CGO_ENABLED=0, the package exports the same names, and every call that would need the C library
// returns [ErrUnsupported].
//
// # Concurrency
//
// All methods may be called from any goroutine. Only one goroutine at a time may read a tracer;
// a second reader gets an error that is syscall.EBUSY. [Tracer.Close] may be called while other
// calls are running: a read that waits returns [ErrClosed].
package agentshebpf

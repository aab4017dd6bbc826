// SPDX-License-Identifier: Apache-2.0

// Package compat exports the names that agentsh's package internal/netmonitor/ebpf exports for
// tracing and for rules by destination, and uses package agentshebpf. A host that was written for the package of agentsh
// replaces the import, and *ebpf.Collection by [*Collection].
//
// The process has one tracer. The first call of [AttachConnectToCgroup] opens it. It is closed
// when all sessions are detached and all collectors are closed. One goroutine reads the events
// of all sessions and distributes them; a full channel or a slow callback of one collector
// never delays another collector. [KeepOpen] saves a host from opening the tracer for each command.
//
// # What is the same as in agentsh
//
//   - A [ConnectEvent] is made for each connect(2) on a TCP or UDP socket, and for each datagram
//     that is sent to an explicit destination. Nothing is deduplicated, unless [SetOptions]
//     clears agentshebpf.OpenUDPNoDedup.
//   - Attaching fails if one of the four programs (connect4, connect6, sendmsg4, sendmsg6)
//     cannot be attached.
//   - [StartCollector] never blocks, and a full channel drops the newest event.
//   - The reasons of [CheckSupport] contain the same substrings.
//   - PID is the number of the process, in the initial PID namespace.
//
// # What differs
//
//   - [Collector.Close] closes the channel, after it has moved the events that happened before
//     the call into the channel. A loop that receives from the channel thus ends.
//   - Up to 4096 events between [AttachConnectToCgroup] and [StartCollector] are kept; further
//     events are counted as dropped.
//   - [Collector.SetOnDrop] also reports losses of the ring buffer, and losses from before it was
//     called. Events that are lost while detach runs may not be counted.
//   - Cookie is the cookie of the socket, so all events of a socket have the same number.
//     In agentsh it is a random number per event.
//   - TsNs is Unix time. In agentsh it is CLOCK_MONOTONIC.
//   - TGID is the number of the process, as PID is. In agentsh it is the number of the thread.
//   - Protocol distinguishes UDP from TCP also in the events of connect(2). A destination in the form
//     ::ffff:a.b.c.d is an IPv4 destination. DstIPv4 has one byte order on all machines.
//   - A second session for a cgroup that has a session is an error (EEXIST). So is a session
//     that would displace an eBPF program of another owner (EBUSY).
//   - cgroup v2 may be mounted anywhere. BTF is not required.
//   - Domain and DomainSource have the name that the process asked for, if the host has called
//     SetOptions(NameOptions()). A host can make agentsh's events with a domain of them.
//   - [PopulateAllowlist] also holds for the descendants of the cgroup, and returns an error if the number is
//     not that of the session's cgroup. A policy is replaced as a whole, so no call sees a part of it. An
//     entry with an unknown family is an error. [CleanupAllowlist] also removes the entries of deny.
//   - With the options of [StrictOptions] a policy also closes other ways than connect(2) and sendto(2).
//   - All entries share one memory; [SetMapSizeOverrides] only makes it larger.
//
// # Environment
//
// AGENTSH_EBPF=off makes [CheckSupport] report that tracing is off, and attaching fail.
// AGENTSH_EBPF_SIMULATE_MISSING=names makes both behave as if this machine lacked something.
package compat

// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

// Package clib calls C functions for the tests of agentshebpf, because test files cannot use cgo.
package clib

/*
#include <stdlib.h>
#include <time.h>

#include <agentsh/ebpf.h>

// Nanoseconds per event of agentsh_ebpf_read() without Go in the fastest batch, as the benchmark of
// Read measures it; or 0.
static double read_ns(int batches, int batch)
{
	struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts), .mode = AGENTSH_EBPF_MODE_SYNTHETIC, .ring_quota = 100};
	struct agentsh_ebpf_event event = {.kind = AGENTSH_EBPF_EVENT_CONNECT}, *events;
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_tracer *tracer;
	struct timespec a, b;
	double ns = 0, took;

	events = calloc((size_t)batch, sizeof(*events));
	if (agentsh_ebpf_tracer_open(&opts, &tracer, NULL))
		return 0;
	if (agentsh_ebpf_session_attach(tracer, 0, NULL, &session, NULL))
		batches = 0;
	for (int i = 0; i < batches; i++) {
		for (int j = 0; j < batch; j++)
			agentsh_ebpf_inject(session, &event);
		clock_gettime(CLOCK_MONOTONIC, &a);
		if (agentsh_ebpf_read(tracer, events, (size_t)batch, 0) != batch)
			batches = 0;
		clock_gettime(CLOCK_MONOTONIC, &b);
		took = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
		if (!ns || took < ns)
			ns = took;
	}
	agentsh_ebpf_tracer_close(tracer);
	free(events);
	return batches ? ns / batch : 0;
}
*/
import "C"

// ReadNs returns the time per event that agentsh_ebpf_read() takes in C, in nanoseconds, in the
// fastest of some batches of a synthetic tracer. Descriptor 0 must be open. It returns 0 on failure.
func ReadNs(batches, batch int) float64 { return float64(C.read_ns(C.int(batches), C.int(batch))) }

// The names that the library has for numbers.

func KindName(v uint32) string     { return C.GoString(C.agentsh_ebpf_kind_name(C.uint32_t(v))) }
func ProtocolName(v uint16) string { return C.GoString(C.agentsh_ebpf_protocol_name(C.uint16_t(v))) }
func HookName(v uint32) string     { return C.GoString(C.agentsh_ebpf_hook_name(C.uint32_t(v))) }
func StepName(v uint32) string     { return C.GoString(C.agentsh_ebpf_step_name(C.uint32_t(v))) }
func CheckName(v uint32) string    { return C.GoString(C.agentsh_ebpf_check_name(C.uint32_t(v))) }
func StatusName(v uint32) string   { return C.GoString(C.agentsh_ebpf_status_name(C.uint32_t(v))) }
func SourceName(v uint32) string   { return C.GoString(C.agentsh_ebpf_name_source_name(C.uint32_t(v))) }
func VerdictName(v uint32) string  { return C.GoString(C.agentsh_ebpf_verdict_name(C.uint32_t(v))) }
func CoverageName(v uint32) string { return C.GoString(C.agentsh_ebpf_coverage_name(C.uint32_t(v))) }

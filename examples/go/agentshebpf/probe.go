// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

/*
#include <stdlib.h>

#include <agentsh/ebpf.h>

static uint64_t realtime_ns(uint64_t timestamp_ns)
{
	struct agentsh_ebpf_event event = {.timestamp_ns = timestamp_ns};

	return agentsh_ebpf_event_realtime_ns(&event);
}
*/
import "C"

import (
	"time"
	"unsafe"
)

// Probe finds out whether this machine can trace, by trying each thing that a tracer needs. The
// checks in simulateMissing, normally 0, are treated as missing. Probe requires no privilege: a
// missing privilege is part of the result. It takes some tenths of a second.
func Probe(simulateMissing CheckSet) (Capabilities, error) {
	c := C.struct_agentsh_ebpf_capabilities{
		size:             C.sizeof_struct_agentsh_ebpf_capabilities,
		simulate_missing: C.uint64_t(simulateMissing),
	}
	if err := toError("probe", C.agentsh_ebpf_capability_probe(&c), nil); err != nil {
		return Capabilities{}, err
	}
	caps := Capabilities{
		Usable:        c.usable != 0,
		Reason:        C.GoString(&c.reason[0]),
		Available:     CheckSet(c.available),
		Missing:       CheckSet(c.missing),
		Hooks:         Hooks(c.hooks),
		KernelVersion: uint32(c.kernel_version),
		KernelRelease: C.GoString(&c.kernel_release[0]),
		MaxSessions:   uint32(c.max_sessions),
		CgroupMode:    CgroupMode(c.cgroup_mode),
		LoadOnly:      c.load_only != 0,
		Cgroup2Path:   C.GoString(&c.cgroup2_path[0]),
		CgroupPath:    C.GoString(&c.cgroup_path[0]),
	}
	for i := range c.checks[:c.count] {
		check := &c.checks[i]
		caps.Checks = append(caps.Checks, CheckResult{
			Check:    Check(i),
			Status:   Status(check.status),
			Err:      errno(check.error),
			Required: check.required != 0,
			Value:    uint64(check.value),
			Detail:   C.GoString(&check.detail[0]),
			Hint:     C.GoString(C.agentsh_ebpf_check_hint(C.uint32_t(i))),
		})
	}
	return caps, nil
}

// ParseChecks converts names of checks, separated by commas ("btf,cgroup2").
func ParseChecks(names string) (CheckSet, error) {
	c := C.CString(names)
	defer C.free(unsafe.Pointer(c))
	var mask C.uint64_t
	cerr := newError()
	err := toError("parse checks", C.agentsh_ebpf_checks_parse(c, &mask, &cerr), &cerr)
	return CheckSet(mask), err
}

// CgroupPath returns the directory in which a host can create the cgroups of its sessions.
func CgroupPath() (string, error) {
	var path [4096]C.char
	if err := toError("cgroup path", C.agentsh_ebpf_cgroup_path(&path[0], C.size_t(len(path))), nil); err != nil {
		return "", err
	}
	return C.GoString(&path[0]), nil
}

// ModeFromEnv reads the mode that an operator has chosen: AGENTSH_EBPF=off, auto or required, and
// AGENTSH_EBPF_SIMULATE_MISSING=names. A variable that is unset or empty leaves its argument
// unchanged; an error leaves both unchanged. It must not run while another goroutine calls
// os.Setenv.
func ModeFromEnv(mode Mode, simulateMissing CheckSet) (Mode, CheckSet, error) {
	m, missing := C.uint32_t(mode), C.uint64_t(simulateMissing)
	cerr := newError()
	err := toError("mode from environment", C.agentsh_ebpf_mode_from_env(&m, &missing, &cerr), &cerr)
	return Mode(m), CheckSet(missing), err
}

// HooksBuilt returns the hooks that the library was built with.
func HooksBuilt() Hooks { return Hooks(C.agentsh_ebpf_hooks_built()) }

// Version returns the version of the running library.
func Version() string { return C.GoString(C.agentsh_ebpf_version()) }

// Note tells how the path is reported, or why it is not.
func (p Path) Note() string { return C.GoString(C.agentsh_ebpf_coverage_note(C.uint32_t(p))) }

func realtime(timestampNs uint64) time.Time {
	return time.Unix(0, int64(C.realtime_ns(C.uint64_t(timestampNs))))
}

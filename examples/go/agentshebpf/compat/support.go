// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"runtime"
	"sync"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// SupportStatus tells whether AttachConnectToCgroup can work on this machine.
type SupportStatus struct {
	Supported bool
	// Reason tells why tracing is not supported. If Supported is true, Reason is empty or names
	// something that the machine lacks, but that tracing does not require ("btf not present").
	Reason string
}

// A probe takes some tenths of a second, and hosts call CheckSupport for each command.
var supported struct {
	mu    sync.Mutex
	known map[question]SupportStatus
}

// question is what an answer of CheckSupport depends on.
type question struct {
	simulateMissing agentshebpf.CheckSet
	required        agentshebpf.Hooks
}

// CheckSupport finds out whether AttachConnectToCgroup can work, by trying each thing that it
// needs. A positive result is kept for the life of the process, so later calls do not try again;
// attaching may still fail.
func CheckSupport() SupportStatus {
	if runtime.GOOS != "linux" {
		return SupportStatus{Reason: "ebpf network tracing is only available on linux"}
	}
	opts, err := process.options()
	if err != nil {
		return SupportStatus{Reason: withDetail("tracing is not possible", err.Error())}
	}
	switch opts.Mode {
	case agentshebpf.ModeDisabled:
		return SupportStatus{Reason: "tracing is turned off (AGENTSH_EBPF=off)"}
	case agentshebpf.ModeSynthetic:
		return SupportStatus{Supported: true}
	}
	supported.mu.Lock()
	defer supported.mu.Unlock()
	asked := question{opts.SimulateMissing, opts.RequiredHooks}
	if status, ok := supported.known[asked]; ok {
		return status
	}
	caps, err := agentshebpf.Probe(opts.SimulateMissing)
	if err != nil {
		return SupportStatus{Reason: withDetail("tracing is not possible", err.Error())}
	}
	status := statusOf(&caps, opts.RequiredHooks)
	if status.Supported {
		if supported.known == nil {
			supported.known = make(map[question]SupportStatus)
		}
		supported.known[asked] = status
	}
	return status
}

// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"strings"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// Substrings of [SupportStatus].Reason. A host searches a reason for the first four in this order
// and takes the first that it finds. ReasonKernelTooOld is a part of many words, so a reason that
// is not about the kernel must not contain it.
const (
	ReasonBTFNotPresent        = "btf not present"
	ReasonCgroupV2NotAvail     = "cgroup v2 not available"
	ReasonKernelVersionUnknown = "kernel version unknown"
	ReasonKernelTooOld         = "kernel"
	ReasonMissingCap           = "missing CAP_BPF or CAP_SYS_ADMIN"
)

// matched returns the substring by which a host classifies a reason, or "".
func matched(reason string) string {
	for _, s := range []string{ReasonBTFNotPresent, ReasonCgroupV2NotAvail,
		ReasonKernelVersionUnknown, ReasonKernelTooOld} {
		if strings.Contains(reason, s) {
			return s
		}
	}
	return ""
}

// withDetail appends the detail, unless a host would then classify the reason differently.
func withDetail(reason, detail string) string {
	if detail == "" {
		return reason
	}
	if full := reason + ": " + detail; matched(full) == matched(reason) {
		return full
	}
	return reason
}

const kernelLacks = ReasonKernelTooOld +
	" lacks a feature (Linux 5.8 or later with CONFIG_CGROUP_BPF=y is required)"

// reasonOf describes a missing check. A refusal (StatusForbidden) is not the fault of the kernel.
func reasonOf(c *agentshebpf.CheckResult) string {
	switch c.Check {
	case agentshebpf.CheckBPF:
		return "bpf(2) is refused; allow bpf in the seccomp profile of the container"
	case agentshebpf.CheckUserNS:
		return "the capabilities are valid only in a user namespace; run in the initial one"
	case agentshebpf.CheckCapBPF:
		return ReasonMissingCap
	case agentshebpf.CheckCapNetAdmin:
		return "missing CAP_NET_ADMIN or CAP_SYS_ADMIN"
	case agentshebpf.CheckCgroup2:
		return withDetail(ReasonCgroupV2NotAvail, c.Detail)
	case agentshebpf.CheckMemlock:
		return withDetail("RLIMIT_MEMLOCK is too low", c.Detail)
	case agentshebpf.CheckNofile:
		return withDetail("RLIMIT_NOFILE is too low", c.Detail)
	case agentshebpf.CheckKernel:
		return withDetail(ReasonKernelTooOld+" is older than 5.8", c.Detail)
	case agentshebpf.CheckBTF:
		return ReasonBTFNotPresent + " (missing /sys/kernel/btf/vmlinux)"
	}
	if c.Status == agentshebpf.StatusForbidden {
		return withDetail("refused by a security module or by another program", c.Detail)
	}
	return withDetail(kernelLacks, c.Detail)
}

// needed tells whether AttachConnectToCgroup fails without the check if these hooks are required.
func needed(c *agentshebpf.CheckResult, required agentshebpf.Hooks) bool {
	switch c.Check {
	case agentshebpf.CheckSendmsg4, agentshebpf.CheckSendmsg6:
		return true
	case agentshebpf.CheckSockCreate:
		return required&agentshebpf.HookSockCreate != 0
	case agentshebpf.CheckInetEgress:
		return required&agentshebpf.HookEgress != 0
	}
	return c.Required
}

// statusOf judges the result of a probe. A lack that does not prevent tracing is a remark in
// Reason, and Supported is true.
func statusOf(caps *agentshebpf.Capabilities, required agentshebpf.Hooks) SupportStatus {
	var missing, remark string
	for i := range caps.Checks {
		c := &caps.Checks[i]
		if !caps.Missing.Has(c.Check) {
			continue
		}
		switch {
		case c.Check == agentshebpf.CheckCgroup2:
			missing = reasonOf(c) // agentsh names it before all others
		case needed(c, required) && missing == "":
			missing = reasonOf(c)
		case c.Check == agentshebpf.CheckBTF:
			remark = reasonOf(c)
		case c.Check == agentshebpf.CheckKernel && remark == "":
			remark = reasonOf(c)
		}
	}
	if missing == "" && !caps.Usable {
		missing = withDetail("tracing is not possible", caps.Reason)
	}
	if missing != "" {
		return SupportStatus{Reason: missing}
	}
	if caps.KernelVersion == 0 && remark == "" {
		remark = ReasonKernelVersionUnknown
	}
	return SupportStatus{Supported: true, Reason: remark}
}

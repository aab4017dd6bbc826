// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package compat

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// want says how a host must classify each check if it is missing.
var want = map[agentshebpf.Check]struct {
	supported bool
	matched   string
}{
	agentshebpf.CheckKernel:        {true, ReasonKernelTooOld},
	agentshebpf.CheckBPF:           {false, ""},
	agentshebpf.CheckUserNS:        {false, ""},
	agentshebpf.CheckCapBPF:        {false, ""},
	agentshebpf.CheckCapNetAdmin:   {false, ""},
	agentshebpf.CheckCapPerfmon:    {true, ""},
	agentshebpf.CheckLockdown:      {true, ""},
	agentshebpf.CheckBTF:           {true, ReasonBTFNotPresent},
	agentshebpf.CheckCgroup2:       {false, ReasonCgroupV2NotAvail},
	agentshebpf.CheckRingbuf:       {false, ReasonKernelTooOld},
	agentshebpf.CheckArrayMmap:     {false, ReasonKernelTooOld},
	agentshebpf.CheckCgroupStorage: {false, ReasonKernelTooOld},
	agentshebpf.CheckCgroupLink:    {false, ReasonKernelTooOld},
	agentshebpf.CheckMemlock:       {false, ""},
	agentshebpf.CheckNofile:        {false, ""},
	agentshebpf.CheckJIT:           {true, ""},
	agentshebpf.CheckConnect4:      {false, ReasonKernelTooOld},
	agentshebpf.CheckConnect6:      {false, ReasonKernelTooOld},
	agentshebpf.CheckSendmsg4:      {false, ReasonKernelTooOld},
	agentshebpf.CheckSendmsg6:      {false, ReasonKernelTooOld},
	agentshebpf.CheckSockOps:       {true, ""},
	agentshebpf.CheckSockRelease:   {true, ""},
	agentshebpf.CheckBind4:         {true, ""},
	agentshebpf.CheckBind6:         {true, ""},
	agentshebpf.CheckInetIngress:   {true, ""},
	agentshebpf.CheckInetEgress:    {true, ""},
	agentshebpf.CheckConnectUnix:   {true, ""},
	agentshebpf.CheckSendmsgUnix:   {true, ""},
	agentshebpf.CheckSockCreate:    {true, ""},
	agentshebpf.CheckSetRetval:     {true, ""},
}

// probed is the result of a probe of a machine that lacks nothing but the check.
func probed(t *testing.T, check agentshebpf.Check) agentshebpf.Capabilities {
	t.Helper()
	caps, err := agentshebpf.Probe(check.Set())
	if err != nil {
		t.Fatal(err)
	}
	if !caps.Missing.Has(check) {
		t.Fatalf("the probe does not simulate %v", check)
	}
	caps.Missing = check.Set() // whatever this machine lacks
	caps.Usable = !caps.Checks[check].Required
	return caps
}

func TestReasons(t *testing.T) {
	all, err := agentshebpf.Probe(0)
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Checks) != len(want) {
		t.Errorf("the library has %d checks, the table has %d", len(all.Checks), len(want))
	}
	for _, c := range all.Checks {
		t.Run(c.Check.String(), func(t *testing.T) {
			caps := probed(t, c.Check)
			w := want[c.Check]
			got := statusOf(&caps, hooks)
			if got.Supported != w.supported || matched(got.Reason) != w.matched {
				t.Errorf("%+v, want Supported %t and a reason matched by %q", got, w.supported, w.matched)
			}
			strict := statusOf(&caps, StrictOptions().RequiredHooks)
			switch c.Check {
			case agentshebpf.CheckSockCreate, agentshebpf.CheckInetEgress:
				if strict.Supported || matched(strict.Reason) != ReasonKernelTooOld {
					t.Errorf("with StrictOptions: %+v", strict)
				}
			default:
				if strict != got {
					t.Errorf("with StrictOptions: %+v instead of %+v", strict, got)
				}
			}
			if !got.Supported && got.Reason == "" {
				t.Error("there is no reason")
			}
			if caps.Checks[c.Check].Required && got.Supported {
				t.Error("a required check is missing, but tracing is supported")
			}
			// A refused program is not the fault of the kernel.
			caps.Checks[c.Check].Status = agentshebpf.StatusForbidden
			got = statusOf(&caps, hooks)
			if w.matched == ReasonKernelTooOld && !w.supported && matched(got.Reason) != "" {
				t.Errorf("refused: %+v is matched by %q", got, matched(got.Reason))
			}
			// A detail that speaks of the kernel does not change the classification.
			caps.Checks[c.Check].Detail = "the kernel refused"
			got = statusOf(&caps, hooks)
			if w.matched != ReasonKernelTooOld && matched(got.Reason) != w.matched {
				t.Errorf("with a detail: %+v, want a reason matched by %q", got, w.matched)
			}
		})
	}
}

func TestReasonMissingCapability(t *testing.T) {
	caps := probed(t, agentshebpf.CheckCapBPF)
	if got := statusOf(&caps, hooks); got.Reason != ReasonMissingCap {
		t.Errorf("%+v, want %q", got, ReasonMissingCap)
	}
}

func TestReasonKernelUnknown(t *testing.T) {
	caps := probed(t, agentshebpf.CheckJIT)
	caps.KernelVersion = 0
	got := statusOf(&caps, hooks)
	if !got.Supported || matched(got.Reason) != ReasonKernelVersionUnknown {
		t.Errorf("%+v, want Supported and %q", got, ReasonKernelVersionUnknown)
	}
}

// agentsh names cgroup v2 first, whatever else is missing.
func TestReasonOrder(t *testing.T) {
	caps := probed(t, agentshebpf.CheckCapBPF)
	caps.Missing |= agentshebpf.CheckCgroup2.Set() | agentshebpf.CheckRingbuf.Set() |
		agentshebpf.CheckBTF.Set()
	if got := statusOf(&caps, hooks); got.Supported || matched(got.Reason) != ReasonCgroupV2NotAvail {
		t.Errorf("%+v, want %q", got, ReasonCgroupV2NotAvail)
	}
}

// A required check that only a later library knows.
func TestReasonUnknownCheck(t *testing.T) {
	caps := agentshebpf.Capabilities{Usable: false, Reason: "the kernel lacks x", KernelVersion: 1}
	if got := statusOf(&caps, hooks); got.Supported || got.Reason == "" || matched(got.Reason) != "" {
		t.Errorf("%+v, want a reason that nothing matches", got)
	}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct{ variable, value, supported, reason, err string }{
		{"AGENTSH_EBPF", "off", "false", "turned off", "switched off"},
		{"AGENTSH_EBPF", "bogus", "false", "tracing is not possible", "bogus"},
		{"AGENTSH_EBPF_SIMULATE_MISSING", "cap_bpf", "false", ReasonMissingCap, "CAP_BPF"},
		{"AGENTSH_EBPF_SIMULATE_MISSING", "cgroup2", "false", ReasonCgroupV2NotAvail, ""},
	} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^$")
		cmd.Env = append(os.Environ(), childVariable+"=support", c.variable+"="+c.value)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		part := strings.SplitN(string(out), "|", 3)
		if len(part) != 3 || part[0] != c.supported {
			t.Fatalf("%s=%s: %s", c.variable, c.value, out)
		}
		if os.Geteuid() != 0 && c.value == "cgroup2" {
			continue // the order of checks is tested above
		}
		if !strings.Contains(part[1], c.reason) || !strings.Contains(part[2], c.err) {
			t.Errorf("%s=%s: %s, want %q and %q", c.variable, c.value, out, c.reason, c.err)
		}
	}
}

func TestSupportIsCached(t *testing.T) {
	if status := CheckSupport(); !status.Supported {
		t.Skip("only a positive result is kept, and this machine cannot trace: " + status.Reason)
	}
	allocs := testing.AllocsPerRun(10, func() { CheckSupport() })
	if allocs > 2 {
		t.Errorf("%v allocations: the result of the probe is not kept", allocs)
	}
}

func TestSupportOfSyntheticTracer(t *testing.T) {
	synthetic(t, nil)
	if status := CheckSupport(); !status.Supported {
		t.Errorf("%+v", status)
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

import (
	"errors"
	"math"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

const ruleHooks = HookConnect | HookUDP | HookRules

func newRules(t testing.TB, tracer *Tracer, opts RulesOptions, rules ...Rule) *Rules {
	t.Helper()
	set, err := tracer.NewRules(rules, opts)
	must(t, err)
	return set
}

func wantVerdict(t *testing.T, rules *Rules, remote string, protocol Protocol, verdict Verdict, id uint32) {
	t.Helper()
	got, gotID, err := rules.Judge(netip.MustParseAddrPort(remote), protocol)
	must(t, err)
	equal(t, "verdict of "+remote, got, verdict)
	equal(t, "rule of "+remote, gotID, id)
}

func TestRulesJudge(t *testing.T) {
	tracer := openSynthetic(t, Options{Hooks: ruleHooks, RulesBytes: 1 << 16, RulesAddresses: 32})
	equal(t, "hooks", tracer.Hooks(), ruleHooks)
	list := []Rule{
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Protocol: ProtocolTCP, FirstPort: 80, LastPort: 90, ID: 1, Action: RuleDeny},
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), ID: 2, Action: RuleAllow},
		{Prefix: netip.MustParsePrefix("2001:db8::/32"), FirstPort: 443, ID: 3, Action: RuleAllow},
		{Prefix: netip.MustParsePrefix("::ffff:192.0.2.0/120"), ID: 4, Action: RuleAllow},
		{AnyAddress: true, Protocol: RuleOtherProtocols, ID: 5, Action: RuleAllow},
		{Prefix: netip.MustParsePrefix("198.51.100.1/32"), ID: 6, Action: RuleAllow, Expires: time.Now().Add(-time.Hour)},
		{Prefix: netip.MustParsePrefix("198.51.100.2/32"), ID: 7, Action: RuleAllow, Expires: time.Now().Add(time.Hour)},
		{Prefix: netip.MustParsePrefix("198.51.100.3/32"), ID: 8, Action: RuleAllow, Expires: time.Unix(math.MaxInt32, 0)},
	}
	rules := newRules(t, tracer, RulesOptions{DefaultAction: RuleDeny}, list...)
	audit := newRules(t, tracer, RulesOptions{DefaultAction: RuleDeny, Flags: RulesAudit}, list...)
	for _, c := range []struct {
		remote   string
		protocol Protocol
		verdict  Verdict
		id       uint32
	}{
		{"10.1.2.3:80", ProtocolTCP, VerdictDenied, 1},
		{"10.1.2.3:90", ProtocolMPTCP, VerdictDenied, 1},
		{"10.1.2.3:91", ProtocolTCP, VerdictAllowed, 2},
		{"10.1.2.3:80", ProtocolUDP, VerdictAllowed, 2},
		{"10.2.2.3:80", ProtocolUDP, VerdictDenied, 0},
		{"[2001:db8::1]:443", ProtocolTCP, VerdictAllowed, 3},
		{"[2001:db8::1]:444", ProtocolTCP, VerdictDenied, 0},
		{"192.0.2.9:1", ProtocolUDPLite, VerdictAllowed, 4},
		{"[::ffff:192.0.2.9]:1", ProtocolTCP, VerdictAllowed, 4},
		{"203.0.113.1:0", ProtocolICMP, VerdictAllowed, 5},
		{"198.51.100.1:1", ProtocolTCP, VerdictDenied, 0},
		{"198.51.100.2:1", ProtocolTCP, VerdictAllowed, 7},
		{"198.51.100.3:1", ProtocolTCP, VerdictAllowed, 8},
	} {
		wantVerdict(t, rules, c.remote, c.protocol, c.verdict, c.id)
		if c.verdict == VerdictDenied {
			c.verdict = VerdictWouldDeny
		}
		wantVerdict(t, audit, c.remote, c.protocol, c.verdict, c.id)
	}
	wantVerdict(t, newRules(t, tracer, RulesOptions{}), "10.1.2.3:80", ProtocolTCP, VerdictAllowed, 0)
}

func TestRulesListAddress(t *testing.T) {
	tracer := openSynthetic(t, Options{Hooks: ruleHooks})
	rules := newRules(t, tracer, RulesOptions{DefaultAction: RuleDeny},
		Rule{AnyAddress: true, ID: 9, Action: RuleAllow, Flags: RuleListed})
	addr := netip.MustParseAddr("192.0.2.1")
	for _, step := range []struct {
		until   time.Time
		verdict Verdict
		id      uint32
	}{
		{time.Time{}, VerdictAllowed, 9},
		{time.Now().Add(-time.Second), VerdictDenied, 0},
		{time.Unix(0, 0), VerdictDenied, 0},
		{time.Now().Add(time.Hour), VerdictAllowed, 9},
		{time.Now().Add(math.MaxInt64), VerdictAllowed, 9},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), VerdictAllowed, 9},
	} {
		must(t, rules.ListAddress(9, addr, step.until))
		wantVerdict(t, rules, "192.0.2.1:1", ProtocolTCP, step.verdict, step.id)
		wantVerdict(t, rules, "[::ffff:192.0.2.1]:1", ProtocolTCP, step.verdict, step.id)
		wantVerdict(t, rules, "192.0.2.2:1", ProtocolTCP, VerdictDenied, 0)
	}
	must(t, rules.UnlistAddress(9, addr))
	wantVerdict(t, rules, "192.0.2.1:1", ProtocolTCP, VerdictDenied, 0)
	wantError(t, "second UnlistAddress", rules.UnlistAddress(9, addr), syscall.ENOENT)
	wantError(t, "ListAddress of an unknown rule", rules.ListAddress(8, addr, time.Time{}), syscall.ENOENT)
	wantError(t, "ListAddress of no address", rules.ListAddress(9, netip.Addr{}, time.Time{}), syscall.EINVAL)
	_, _, err := rules.Judge(netip.AddrPort{}, ProtocolTCP)
	wantError(t, "Judge of no address", err, syscall.EINVAL)
}

func TestRulesFallback(t *testing.T) {
	tracer := openSynthetic(t, Options{Hooks: ruleHooks})
	session := attachSynthetic(t, tracer, 1)
	// At most 8 rules for one destination can match listed addresses only.
	many := []Rule{{Prefix: netip.MustParsePrefix("10.0.0.0/32"), ID: 1, Action: RuleAllow}}
	for range 9 {
		many = append(many, Rule{AnyAddress: true, ID: 2, Action: RuleAllow, Flags: RuleListed})
	}
	none, err := tracer.NewRules(many, RulesOptions{})
	if none != nil || errors.Is(err, ErrFallback) {
		t.Errorf("NewRules without OnExhaustion returns %v, %v", none, err)
	}
	wantError(t, "NewRules without OnExhaustion", err, syscall.ENOSPC, StepRules)
	for action, verdict := range map[Action]Verdict{RuleDeny: VerdictDenied, RuleAllow: VerdictAllowed} {
		opts := RulesOptions{DefaultAction: RuleDeny + RuleAllow - action, OnExhaustion: action}
		set, err := tracer.NewRules(many, opts)
		wantError(t, "NewRules with OnExhaustion", err, ErrFallback, syscall.ENOSPC, StepRules)
		if set == nil || err.(*Error).Message == "" {
			t.Fatalf("NewRules with OnExhaustion returns %v, %v", set, err)
		}
		wantVerdict(t, set, "10.0.0.1:1", ProtocolTCP, verdict, 0)
		must(t, session.SetRules(set))
		wantError(t, "Close of rules in use", set.Close(), syscall.EBUSY)
		must(t, session.SetRules(nil))
		must(t, set.Close())
		set, err = tracer.NewRules(many[:1], opts) // there is memory for this one
		must(t, err)
		wantVerdict(t, set, "10.0.0.0:1", ProtocolTCP, VerdictAllowed, 1)
		must(t, set.Close())
	}
	_, err = tracer.NewRules(many[:1], RulesOptions{OnExhaustion: 3})
	wantError(t, "an unknown OnExhaustion", err, syscall.ERANGE)
	none, err = tracer.NewRules([]Rule{{}}, RulesOptions{OnExhaustion: RuleDeny})
	if none != nil || errors.Is(err, ErrFallback) {
		t.Errorf("NewRules with a malformed rule returns %v, %v", none, err)
	}
}

func TestRulesHelpers(t *testing.T) {
	tracer := openSynthetic(t, Options{Hooks: ruleHooks})
	var list []Rule
	for resolver, id := range map[string]uint32{"192.0.2.53:0": 2, "[2001:db8::53]:5353": 3} {
		rules, err := RulesResolver(netip.MustParseAddrPort(resolver), id)
		must(t, err)
		list = append(list, rules...)
	}
	list = append(list, RulesLoopback(1)...)
	equal(t, "number of rules", len(list), 6)
	rules := newRules(t, tracer, RulesOptions{DefaultAction: RuleDeny}, list...)
	for _, c := range []struct {
		remote   string
		protocol Protocol
		verdict  Verdict
		id       uint32
	}{
		{"127.0.0.1:1", ProtocolTCP, VerdictAllowed, 1},
		{"127.255.255.255:0", ProtocolICMP, VerdictAllowed, 1},
		{"[::1]:1", ProtocolUDP, VerdictAllowed, 1},
		{"128.0.0.1:1", ProtocolTCP, VerdictDenied, 0},
		{"[::2]:1", ProtocolTCP, VerdictDenied, 0},
		{"192.0.2.53:53", ProtocolUDP, VerdictAllowed, 2},
		{"192.0.2.53:53", ProtocolTCP, VerdictAllowed, 2},
		{"192.0.2.53:53", ProtocolSCTP, VerdictDenied, 0},
		{"192.0.2.53:54", ProtocolUDP, VerdictDenied, 0},
		{"192.0.2.54:53", ProtocolUDP, VerdictDenied, 0},
		{"[2001:db8::53]:5353", ProtocolTCP, VerdictAllowed, 3},
		{"[2001:db8::53]:53", ProtocolTCP, VerdictDenied, 0},
	} {
		wantVerdict(t, rules, c.remote, c.protocol, c.verdict, c.id)
	}
	resolver, err := RulesResolver(netip.MustParseAddrPort("192.0.2.53:0"), 2)
	must(t, err)
	for i, protocol := range []Protocol{ProtocolUDP, ProtocolTCP} {
		equal(t, "rule of a resolver", resolver[i], Rule{Prefix: netip.MustParsePrefix("192.0.2.53/32"),
			Protocol: protocol, FirstPort: 53, ID: 2, Action: RuleAllow})
	}
	_, err = RulesResolver(netip.AddrPort{}, 1)
	wantError(t, "RulesResolver of no address", err, syscall.EINVAL)
}

func TestRulesFlagsNeedHooks(t *testing.T) {
	for flag, hook := range map[RulesFlags]Hooks{RulesStrictSockets: HookSockCreate, RulesEgress: HookEgress} {
		_, err := openSynthetic(t, Options{Hooks: ruleHooks}).NewRules(nil, RulesOptions{Flags: flag})
		wantError(t, "NewRules without "+hook.String(), err, syscall.EOPNOTSUPP, StepOptions)
		newRules(t, openSynthetic(t, Options{Hooks: ruleHooks | hook}), RulesOptions{Flags: flag})
		_, err = Open(Options{Mode: ModeSynthetic, Hooks: hook})
		wantError(t, "Open without HookRules", err, syscall.EINVAL)
	}
	newRules(t, openSynthetic(t, Options{Hooks: ruleHooks}), RulesOptions{Flags: RulesRefuse | RulesAudit})
}

func TestRulesErrors(t *testing.T) {
	tracer := openSynthetic(t, Options{Hooks: ruleHooks})
	prefix := netip.MustParsePrefix("10.0.0.0/8")
	for name, rule := range map[string]Rule{
		"no prefix":              {Action: RuleDeny},
		"an invalid prefix":      {Prefix: netip.PrefixFrom(prefix.Addr(), 33), Action: RuleDeny},
		"a prefix and any":       {Prefix: prefix, AnyAddress: true, Action: RuleDeny},
		"no action":              {Prefix: prefix},
		"an unknown action":      {Prefix: prefix, Action: 3},
		"a large action":         {Prefix: prefix, Action: 1<<16 + 1},
		"MPTCP":                  {Prefix: prefix, Protocol: ProtocolMPTCP, Action: RuleDeny},
		"ICMP":                   {Prefix: prefix, Protocol: ProtocolICMP, Action: RuleDeny},
		"ports in reverse":       {Prefix: prefix, FirstPort: 2, LastPort: 1, Action: RuleDeny},
		"an unknown flag":        {Prefix: prefix, Flags: 2, Action: RuleDeny},
		"ports without protocol": {Prefix: prefix, Protocol: RuleOtherProtocols, FirstPort: 1, LastPort: 2, Action: RuleDeny},
	} {
		_, err := tracer.NewRules([]Rule{rule}, RulesOptions{})
		wantError(t, "a rule with "+name, err, syscall.EINVAL, StepRules)
	}
	_, err := tracer.NewRules(nil, RulesOptions{DefaultAction: 3})
	wantError(t, "an unknown default", err, syscall.ERANGE)
	_, err = tracer.NewRules(nil, RulesOptions{Flags: 1 << 20})
	wantError(t, "an unknown flag", err, syscall.EINVAL)

	other := openSynthetic(t, Options{Hooks: ruleHooks})
	foreign := newRules(t, other, RulesOptions{})
	session := attachSynthetic(t, tracer, 1)
	wantError(t, "SetRules of another tracer", session.SetRules(foreign), syscall.EINVAL, StepOptions)
	must(t, other.Close())
	wantError(t, "SetRules of a closed tracer", session.SetRules(foreign), syscall.EINVAL)
	_, err = tracer.Attach(os.Stdin, SessionOptions{Rules: foreign})
	wantError(t, "Attach with rules of another tracer", err, syscall.EINVAL)
	must(t, session.Detach())
	wantError(t, "SetRules after Detach", session.SetRules(nil), syscall.EINVAL)

	without := openSynthetic(t, Options{Hooks: HookConnect | HookUDP})
	_, err = without.NewRules(nil, RulesOptions{})
	wantError(t, "NewRules without the hook", err, syscall.EOPNOTSUPP)
	session = attachSynthetic(t, without, 1)
	wantError(t, "SetRules without the hook", session.SetRules(nil), syscall.EOPNOTSUPP)
	_, err = Open(Options{Mode: ModeSynthetic, Hooks: HookConnect | HookUDP, Flags: OpenDenialsOnly})
	wantError(t, "OpenDenialsOnly without the hook", err, syscall.EINVAL)
	openSynthetic(t, Options{Hooks: ruleHooks, Flags: OpenDenialsOnly})
}

func TestRulesOfSessions(t *testing.T) {
	tracer := openSynthetic(t, Options{Hooks: ruleHooks})
	rules := newRules(t, tracer, RulesOptions{DefaultAction: RuleDeny})
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	session, err := tracer.Attach(null, SessionOptions{ID: 1, Rules: rules})
	must(t, err)
	wantError(t, "Close of rules in use", rules.Close(), syscall.EBUSY)
	wantVerdict(t, rules, "192.0.2.1:1", ProtocolTCP, VerdictDenied, 0)
	next := newRules(t, tracer, RulesOptions{})
	must(t, session.SetRules(next))
	must(t, rules.Close())
	wantError(t, "second Close", rules.Close(), ErrClosed)
	wantError(t, "SetRules after Close", session.SetRules(rules), ErrClosed)
	_, err = tracer.Attach(null, SessionOptions{Rules: rules})
	wantError(t, "Attach after Close", err, ErrClosed)
	wantError(t, "ListAddress after Close", rules.ListAddress(1, netip.IPv4Unspecified(), time.Time{}), ErrClosed)
	_, _, err = rules.Judge(netip.MustParseAddrPort("192.0.2.1:1"), ProtocolTCP)
	wantError(t, "Judge after Close", err, ErrClosed)
	must(t, session.SetRules(nil))
	must(t, session.SetRules(next))
	must(t, session.Detach())
	must(t, next.Close())

	last := newRules(t, tracer, RulesOptions{})
	must(t, tracer.Close())
	wantError(t, "SetRules after Close of the tracer", session.SetRules(last), ErrClosed)
	wantError(t, "Close after Close of the tracer", last.Close(), ErrClosed)
	_, err = tracer.NewRules(nil, RulesOptions{})
	wantError(t, "NewRules after Close of the tracer", err, ErrClosed)
	_, _, err = last.Judge(netip.MustParseAddrPort("192.0.2.1:1"), ProtocolTCP)
	wantError(t, "Judge after Close of the tracer", err, ErrClosed)
}

func TestVerdictIsDelivered(t *testing.T) {
	tracer := openSynthetic(t, Options{Hooks: ruleHooks})
	session := attachSynthetic(t, tracer, 1)
	must(t, session.Inject(&Event{Kind: KindConnect, Verdict: VerdictDenied, RuleID: 1 << 31}))
	events := make([]Event, 2)
	n, err := tracer.TryRead(events)
	must(t, err)
	equal(t, "number of events", n, 1)
	equal(t, "verdict", events[0].Verdict, VerdictDenied)
	equal(t, "rule", events[0].RuleID, 1<<31)
	err = session.Inject(&Event{Kind: KindClosed, Verdict: VerdictDenied, DurationNs: 1})
	wantError(t, "a verdict with an outcome", err, syscall.ERANGE)
}

// The race detector finds calls that use a set while another goroutine closes it.
func TestRulesConcurrentClose(t *testing.T) {
	for range 20 {
		tracer := openSynthetic(t, Options{Hooks: ruleHooks})
		session := attachSynthetic(t, tracer, 1)
		rules := newRules(t, tracer, RulesOptions{}, Rule{AnyAddress: true, ID: 1, Action: RuleDeny, Flags: RuleListed})
		var all sync.WaitGroup
		for _, call := range []func() error{
			func() error { return session.SetRules(rules) },
			func() error { return session.SetRules(nil) },
			func() error {
				_, _, err := rules.Judge(netip.MustParseAddrPort("192.0.2.1:1"), ProtocolTCP)
				return err
			},
			func() error { return rules.ListAddress(1, netip.MustParseAddr("192.0.2.1"), time.Time{}) },
			func() error { return rules.Close() },
		} {
			all.Add(1)
			go func() {
				defer all.Done()
				for range 100 {
					if err := call(); err != nil {
						wantOneOf(t, err, ErrClosed, syscall.EBUSY)
					}
				}
			}()
		}
		time.Sleep(time.Millisecond)
		must(t, tracer.Close())
		all.Wait()
	}
}

func wantOneOf(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if errors.Is(err, target) {
			return
		}
	}
	t.Errorf("unexpected error: %v", err)
}

// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// AllowKey is one destination. CgroupID is ignored; the functions take the cgroup as an argument.
type AllowKey struct {
	CgroupID uint64
	// Family is 2 (AF_INET) or 10 (AF_INET6).
	Family uint8
	// Protocol is 6 (TCP), 17 (UDP) or 0 (every protocol).
	Protocol uint8
	// Dport is the port in host byte order, or 0 (every port).
	Dport uint16
	// Addr is in network byte order, with IPv4 in the first four bytes.
	Addr [16]byte
}

// AllowCIDR is a prefix of destinations for every protocol. Its members are as those of AllowKey.
type AllowCIDR struct {
	CgroupID  uint64
	Family    uint8
	PrefixLen uint32
	Dport     uint16
	Addr      [16]byte
}

// MapCounts are numbers of entries: of the cgroup of the last PopulateAllowlist, and of all sessions
// when it ran.
type MapCounts struct {
	AllowCgroup    uint64
	AllowTotal     uint64
	DenyCgroup     uint64
	DenyTotal      uint64
	LpmAllowCgroup uint64
	LpmAllowTotal  uint64
	LpmDenyCgroup  uint64
	LpmDenyTotal   uint64
}

// allowlist is the policy of a session. The mutex of policies protects it.
type allowlist struct {
	allow, deny         []AllowKey
	allowCIDR, denyCIDR []AllowCIDR
	defaultDeny         bool
	rules               *agentshebpf.Rules // what the session uses; nil if it has no policy
}

// policies are the sessions that have a policy.
var policies = struct {
	mu   sync.Mutex
	all  map[*Collection]*allowlist
	last MapCounts
}{all: make(map[*Collection]*allowlist)}

// PopulateAllowlist replaces the policy of a session. A call is denied if deny or denyCIDR has its
// destination; else it is allowed if allow or allowCIDR has it; else defaultDeny decides. StrictOptions extends
// this to packets and to sockets of other kinds. Every call is judged by the old policy or by the new one. cgroupID must be the cgroup of the session. After an error the
// old policy is in force.
func PopulateAllowlist(handle *Collection, cgroupID uint64, allow []AllowKey, allowCIDR []AllowCIDR,
	deny []AllowKey, denyCIDR []AllowCIDR, defaultDeny bool) error {
	if err := handle.owns(cgroupID); err != nil {
		return err
	}
	policies.mu.Lock()
	defer policies.mu.Unlock()
	if err := handle.enforce(&allowlist{allow: slices.Clone(allow), allowCIDR: slices.Clone(allowCIDR),
		deny: slices.Clone(deny), denyCIDR: slices.Clone(denyCIDR), defaultDeny: defaultDeny}); err != nil {
		return err
	}
	n := MapCounts{AllowCgroup: uint64(len(allow)), DenyCgroup: uint64(len(deny)),
		LpmAllowCgroup: uint64(len(allowCIDR)), LpmDenyCgroup: uint64(len(denyCIDR))}
	for _, l := range policies.all {
		n.AllowTotal += uint64(len(l.allow))
		n.DenyTotal += uint64(len(l.deny))
		n.LpmAllowTotal += uint64(len(l.allowCIDR))
		n.LpmDenyTotal += uint64(len(l.denyCIDR))
	}
	policies.last = n
	return nil
}

// CleanupAllowlist ends the policy of a session, which then denies nothing. It does nothing if handle is
// nil or has no policy. detach does the same.
func CleanupAllowlist(handle *Collection, cgroupID uint64) error {
	if handle == nil {
		return nil
	}
	if err := handle.owns(cgroupID); err != nil {
		return err
	}
	policies.mu.Lock()
	defer policies.mu.Unlock()
	if policies.all[handle] == nil {
		return nil
	}
	if err := handle.session.SetRules(nil); err != nil {
		return err
	}
	handle.forget()
	return nil
}

// AddTemporaryAllowRule allows one more destination until RemoveTemporaryAllowRule, or until the next
// PopulateAllowlist. Entries of deny are still denied. It returns an error if the session has no policy.
func AddTemporaryAllowRule(handle *Collection, cgroupID uint64, key AllowKey) error {
	return handle.change(cgroupID, func(l *allowlist) { l.allow = append(l.allow, key) }, key)
}

// RemoveTemporaryAllowRule removes an entry of allow, also one of PopulateAllowlist, as in agentsh. It does
// nothing if there is no such entry.
func RemoveTemporaryAllowRule(handle *Collection, cgroupID uint64, key AllowKey) error {
	if handle == nil {
		return nil
	}
	err := handle.change(cgroupID, func(*allowlist) {}, key)
	if errors.Is(err, errNoPolicy) {
		return nil
	}
	return err
}

var errNoPolicy = errors.New("compat: the session has no policy; call PopulateAllowlist first")

// change puts a policy in force without key, which add may add again.
func (c *Collection) change(cgroupID uint64, add func(*allowlist), key AllowKey) error {
	if err := c.owns(cgroupID); err != nil {
		return err
	}
	policies.mu.Lock()
	defer policies.mu.Unlock()
	old := policies.all[c]
	if old == nil {
		return errNoPolicy
	}
	key.CgroupID = 0
	changed := *old
	changed.allow = slices.DeleteFunc(slices.Clone(old.allow), func(k AllowKey) bool {
		k.CgroupID = 0
		return k == key
	})
	add(&changed)
	return c.enforce(&changed)
}

// owns refuses another cgroup than that of the session, because its processes would not be held back.
func (c *Collection) owns(cgroupID uint64) error {
	if c == nil {
		return errors.New("compat: the handle is nil")
	}
	if cgroupID != c.cgroupID {
		return fmt.Errorf("compat: the session is of cgroup %d, not %d", c.cgroupID, cgroupID)
	}
	return nil
}

// enforce puts a policy in force in place of the old one. The caller holds the mutex of policies.
func (c *Collection) enforce(l *allowlist) error {
	list, err := l.compile()
	if err != nil {
		return err
	}
	tracer := c.reader.tracer
	opts := agentshebpf.RulesOptions{DefaultAction: agentshebpf.RuleAllow, Flags: strictFlags(tracer.Hooks())}
	if l.defaultDeny {
		opts.DefaultAction = agentshebpf.RuleDeny
	}
	if l.rules, err = tracer.NewRules(list, opts); err != nil {
		return err
	}
	if err := c.session.SetRules(l.rules); err != nil {
		l.rules.Close()
		return err
	}
	c.forget()
	policies.all[c] = l
	return nil
}

// strictFlags returns what the hooks of the tracer make possible beyond calls; see StrictOptions.
func strictFlags(hooks agentshebpf.Hooks) (flags agentshebpf.RulesFlags) {
	if hooks&agentshebpf.HookSockCreate != 0 {
		flags |= agentshebpf.RulesStrictSockets
	}
	if hooks&agentshebpf.HookEgress != 0 {
		flags |= agentshebpf.RulesEgress
	}
	return flags
}

// forget frees the policy, which the session no longer uses. The caller holds the mutex of policies.
func (c *Collection) forget() {
	if l := policies.all[c]; l != nil {
		l.rules.Close()
		delete(policies.all, c)
	}
}

// compile returns the rules in the order in which they decide: deny before allow.
func (l *allowlist) compile() ([]agentshebpf.Rule, error) {
	var list []agentshebpf.Rule
	for _, part := range []struct {
		keys   []AllowKey
		cidrs  []AllowCIDR
		action agentshebpf.Action
	}{{l.deny, l.denyCIDR, agentshebpf.RuleDeny}, {l.allow, l.allowCIDR, agentshebpf.RuleAllow}} {
		for _, k := range part.keys {
			addr, err := addrOf(k.Family, k.Addr)
			if err != nil {
				return nil, err
			}
			list = append(list, agentshebpf.Rule{Prefix: netip.PrefixFrom(addr, addr.BitLen()),
				Protocol: agentshebpf.Protocol(k.Protocol), FirstPort: k.Dport, Action: part.action})
		}
		for _, k := range part.cidrs {
			addr, err := addrOf(k.Family, k.Addr)
			if err != nil {
				return nil, err
			}
			if k.PrefixLen > uint32(addr.BitLen()) {
				return nil, fmt.Errorf("compat: the prefix of %v has %d bits", addr, k.PrefixLen)
			}
			list = append(list, agentshebpf.Rule{Prefix: netip.PrefixFrom(addr, int(k.PrefixLen)),
				FirstPort: k.Dport, Action: part.action})
		}
	}
	return list, nil
}

func addrOf(family uint8, addr [16]byte) (netip.Addr, error) {
	switch uint16(family) {
	case agentshebpf.FamilyIPv4:
		return netip.AddrFrom4([4]byte(addr[:4])), nil
	case agentshebpf.FamilyIPv6:
		return netip.AddrFrom16(addr), nil
	}
	return netip.Addr{}, fmt.Errorf("compat: family %d is not 2 (AF_INET) or 10 (AF_INET6)", family)
}

// GetLastMapCounts returns the counts of the last PopulateAllowlist that succeeded.
func GetLastMapCounts() MapCounts {
	policies.mu.Lock()
	defer policies.mu.Unlock()
	return policies.last
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

// #include <agentsh/ebpf.h>
import "C"

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Rules is a compiled set of rules, which any number of the tracer's sessions can use. All methods may
// be called from any goroutine.
type Rules struct {
	tracer *Tracer
	// Calls of the library hold mu for reading, so that Close waits for them. It is taken after the
	// mutex of the tracer.
	mu sync.RWMutex
	c  *C.struct_agentsh_ebpf_rules // nil after Close
}

// NewRules compiles rules into a set. Of the rules, the first that matches the remote end of a call
// decides. The set is valid until its Close or until the tracer is closed.
//
// The errors are: syscall.EINVAL (a rule is malformed; the message names it), syscall.ERANGE
// (DefaultAction is unknown), syscall.ENOSPC
// (RulesBytes is used up, or there are too many rules; agentsh_ebpf_rules_create(3) has the limits),
// syscall.EOPNOTSUPP (the tracer does not have HookRules, or lacks what a flag requires) and ErrClosed.
//
// An error that is ErrFallback, which is possible only with OnExhaustion, comes together with a set: it
// has no rules, and denies or allows everything, as OnExhaustion says. With every other error the set is nil.
func (t *Tracer) NewRules(rules []Rule, opts RulesOptions) (*Rules, error) {
	if err := t.lock(); err != nil {
		return nil, err
	}
	defer t.mu.RUnlock()
	list := make([]C.struct_agentsh_ebpf_rule, len(rules))
	for i := range rules {
		if err := rules[i].toC(i, &list[i]); err != nil {
			return nil, err
		}
	}
	c := C.struct_agentsh_ebpf_rules_options{
		size:           C.sizeof_struct_agentsh_ebpf_rules_options,
		flags:          C.uint32_t(opts.Flags),
		default_action: C.uint32_t(opts.DefaultAction),
		on_exhaustion:  C.uint32_t(opts.OnExhaustion),
	}
	var out *C.struct_agentsh_ebpf_rules
	cerr := newError()
	ret := C.agentsh_ebpf_rules_create(t.c, unsafe.SliceData(list), C.size_t(len(list)), &c, &out, &cerr)
	if ret < 0 {
		return nil, toError("create rules", ret, &cerr)
	}
	set := &Rules{tracer: t, c: out}
	if ret == 1 {
		return set, &Error{Op: "create rules", Errno: syscall.Errno(-cerr.code), Step: Step(cerr.step),
			Message: C.GoString(&cerr.message[0]), fallback: true}
	}
	return set, nil
}

// RulesLoopback returns two rules that allow every protocol to 127.0.0.0/8 and to ::1. Nothing is
// allowed until the rules are in a set, in front of the rules that they shall precede.
func RulesLoopback(id uint32) []Rule {
	var list [2]C.struct_agentsh_ebpf_rule
	return fromC(list[:], C.agentsh_ebpf_rules_loopback(&list[0], C.uint32_t(id)))
}

// RulesResolver returns two rules that allow UDP and TCP to a name server, whose port 0 stands for 53.
// The error is syscall.EINVAL if the address is not valid.
func RulesResolver(resolver netip.AddrPort, id uint32) ([]Rule, error) {
	var list [2]C.struct_agentsh_ebpf_rule
	address := toAddress(resolver)
	ret := C.agentsh_ebpf_rules_resolver(&list[0], &address, C.uint32_t(id))
	if err := toError("rules of a resolver", ret, nil); err != nil {
		return nil, err
	}
	return fromC(list[:], ret), nil
}

// fromC converts the first n rules of the library, which never expire.
func fromC(list []C.struct_agentsh_ebpf_rule, n C.int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		c := &list[i]
		addr := addrOf(&C.struct_agentsh_ebpf_address{family: c.family, addr: c.addr})
		rules[i] = Rule{
			Prefix:    netip.PrefixFrom(addr, int(c.prefix_len)),
			Protocol:  Protocol(c.protocol),
			FirstPort: uint16(c.first_port),
			LastPort:  uint16(c.last_port),
			ID:        uint32(c.rule_id),
			Action:    Action(c.action),
			Flags:     RuleFlags(c.flags),
		}
	}
	return rules
}

// toC refuses what the struct of C cannot hold, or would take for something wider.
func (r *Rule) toC(i int, c *C.struct_agentsh_ebpf_rule) error {
	wrong := func(member string, value any) error {
		return &Error{Op: "create rules", Errno: syscall.EINVAL, Step: StepRules,
			Message: fmt.Sprintf("rules[%d].%s is %v, which is not valid", i, member, value)}
	}
	switch {
	case r.AnyAddress && r.Prefix != netip.Prefix{}:
		return wrong("AnyAddress", "true beside a Prefix")
	case !r.AnyAddress && !r.Prefix.IsValid():
		return wrong("Prefix", r.Prefix)
	case r.Protocol > math.MaxUint8:
		return wrong("Protocol", r.Protocol)
	case r.Action > math.MaxUint16:
		return wrong("Action", r.Action)
	}
	*c = C.struct_agentsh_ebpf_rule{
		protocol:            C.uint8_t(r.Protocol),
		first_port:          C.uint16_t(r.FirstPort),
		last_port:           C.uint16_t(r.LastPort),
		rule_id:             C.uint32_t(r.ID),
		action:              C.uint16_t(r.Action),
		flags:               C.uint16_t(r.Flags),
		expires_boottime_ns: bootTime(r.Expires, 0),
	}
	if r.AnyAddress {
		return nil
	}
	// Not familyOf, because the length of a prefix of IPv4-mapped addresses counts 128 bits.
	var bytes [16]byte
	if addr := r.Prefix.Addr(); addr.Is4() {
		v4 := addr.As4()
		copy(bytes[:], v4[:])
		c.family = C.uint16_t(FamilyIPv4)
	} else {
		bytes = addr.As16()
		c.family = C.uint16_t(FamilyIPv6)
	}
	c.addr = *(*[16]C.uint8_t)(unsafe.Pointer(&bytes))
	c.prefix_len = C.uint8_t(r.Prefix.Bits())
	return nil
}

// bootTime converts a time to CLOCK_BOOTTIME, or returns never for the zero Time. A time that has
// passed becomes at least 1, because 0 has a meaning of its own.
func bootTime(t time.Time, never C.uint64_t) C.uint64_t {
	if t.IsZero() {
		return never
	}
	now := time.Now()
	// time.Until knows monotonic time, if t has it, and saturates.
	boot := now.UnixNano() - realtime(0).UnixNano()
	if left := int64(t.Sub(now)); left > math.MaxInt64-boot {
		boot = math.MaxInt64
	} else {
		boot += left
	}
	return C.uint64_t(max(boot, 1))
}

// lock returns ErrClosed, or keeps Close of the tracer and of the set waiting until unlock.
func (r *Rules) lock() error {
	if err := r.tracer.lock(); err != nil {
		return err
	}
	r.mu.RLock()
	if r.c == nil {
		r.unlock()
		return ErrClosed
	}
	return nil
}

func (r *Rules) unlock() {
	r.mu.RUnlock()
	r.tracer.mu.RUnlock()
}

// use returns the pointer of a set, which may be nil, for a session of t. Close of the set then waits
// until unlock. The caller keeps t open.
func (r *Rules) use(t *Tracer, op string) (c *C.struct_agentsh_ebpf_rules, unlock func(), err error) {
	if r == nil {
		return nil, func() {}, nil
	}
	if r.tracer != t { // the library would look at the set, which may be freed
		return nil, nil, &Error{Op: op, Errno: syscall.EINVAL, Step: StepOptions,
			Message: "the rules are of another tracer; create them with this one"}
	}
	r.mu.RLock()
	if r.c == nil {
		r.mu.RUnlock()
		return nil, nil, ErrClosed
	}
	return r.c, r.mu.RUnlock, nil
}

// Close frees the set. It returns an error that is syscall.EBUSY, and leaves the set as it is, if a
// session uses it; detach the session or give it other rules first. A second Close, and a Close after
// that of the tracer, return ErrClosed.
func (r *Rules) Close() error {
	if err := r.tracer.lock(); err != nil {
		return err
	}
	defer r.tracer.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.c == nil {
		return ErrClosed
	}
	if err := toError("close rules", C.agentsh_ebpf_rules_free(r.c), nil); err != nil {
		return err
	}
	r.c = nil
	return nil
}

// ListAddress lists an address for the rules with this ID that have RuleListed, without compiling the
// set anew. The zero Time in until means that the address stays listed until UnlistAddress. An address
// that is listed gets the new time. The change holds for calls that begin after ListAddress has
// returned. A later change of the wall clock does not move the time.
//
// The errors are: syscall.ENOENT (the set has no such rule), syscall.EINVAL (addr is not valid),
// syscall.ENOSPC (RulesAddresses is used up), an error of bpf(2), which before kernel 5.19 requires
// CAP_BPF, and ErrClosed.
func (r *Rules) ListAddress(id uint32, addr netip.Addr, until time.Time) error {
	return r.address("list an address", id, addr, bootTime(until, math.MaxUint64))
}

// UnlistAddress ends what ListAddress did. The errors are those of ListAddress; syscall.ENOENT also
// means that the address is not listed.
func (r *Rules) UnlistAddress(id uint32, addr netip.Addr) error {
	return r.address("unlist an address", id, addr, 0)
}

func (r *Rules) address(op string, id uint32, addr netip.Addr, expires C.uint64_t) error {
	if err := r.lock(); err != nil {
		return err
	}
	defer r.unlock()
	family, bytes := familyOf(addr)
	ret := C.agentsh_ebpf_rules_address(r.c, C.uint32_t(id), family, unsafe.Pointer(&bytes), expires)
	return toError(op, ret, nil)
}

// Judge finds out what the set says of a remote end now, and which rule decides; the ID is 0 if no rule
// matches. The errors are syscall.EINVAL (the address is not valid) and ErrClosed.
func (r *Rules) Judge(remote netip.AddrPort, protocol Protocol) (Verdict, uint32, error) {
	if err := r.lock(); err != nil {
		return VerdictNone, 0, err
	}
	defer r.unlock()
	address := toAddress(remote)
	var id C.uint32_t
	ret := C.agentsh_ebpf_rules_judge(r.c, &address, C.uint16_t(protocol), &id)
	if err := toError("judge", ret, nil); err != nil {
		return VerdictNone, 0, err
	}
	return Verdict(ret), uint32(id), nil
}

// SetRules replaces the rules of the session; with nil the session has none. Every call is judged by
// the old set or by the new one, and a call that begins after SetRules has returned by the new one. A
// connection that exists goes on, whatever the new rules say, unless they have RulesEgress.
//
// The errors are: syscall.EINVAL (the session was detached, or the rules are of another tracer),
// syscall.EOPNOTSUPP (the tracer does not have HookRules) and ErrClosed. After an error the old rules
// are in force.
func (s *Session) SetRules(rules *Rules) error {
	if err := s.tracer.lock(); err != nil {
		return err
	}
	defer s.tracer.mu.RUnlock()
	c, unlock, err := rules.use(s.tracer, "set rules")
	if err != nil {
		return err
	}
	defer unlock()
	cerr := newError()
	return toError("set rules", C.agentsh_ebpf_session_set_rules(s.c, c, &cerr), &cerr)
}

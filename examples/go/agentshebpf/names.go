// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

// #include <stdlib.h>
// #include <agentsh/ebpf.h>
import "C"

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// textsMax is the number of texts that a tracer remembers.
const textsMax = 1024

// errNoName is the error for events without a name, so that asking for it costs nothing.
var errNoName error = &Error{Op: "name", Errno: syscall.ENOENT, Message: "the event has no name"}

// names copies names out of the library. What the calls of C get is allocated once, and a text that
// appears again is not allocated again.
type names struct {
	mu    sync.Mutex
	event *Event
	raw   *C.struct_agentsh_ebpf_name
	texts map[string]string
}

func (n *names) init() {
	if n.raw == nil {
		n.event = new(Event)
		n.raw = &C.struct_agentsh_ebpf_name{size: C.sizeof_struct_agentsh_ebpf_name}
		n.texts = make(map[string]string)
	}
}

func (n *names) text(from []C.char) string {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&from[0])), len(from))
	for i := range b {
		if b[i] == 0 {
			b = b[:i]
			break
		}
	}
	if len(b) == 0 {
		return ""
	}
	if s, ok := n.texts[string(b)]; ok { // does not allocate
		return s
	}
	if len(n.texts) == textsMax {
		clear(n.texts)
	}
	s := string(b)
	n.texts[s] = s
	return s
}

func (n *names) copyTo(to *Name) {
	c := n.raw
	*to = Name{
		Asked:            n.text(c.asked[:]),
		Owner:            n.text(c.owner[:]),
		Source:           NameSource(c.source),
		ServerName:       n.text(c.server_name[:]),
		ServerNameSource: NameSource(c.server_name_source),
		ALPN:             n.text(c.alpn[:]),
		Flags:            NameFlags(c.flags),
		Others:           uint32(c.others),
		AskerTGID:        uint32(c.asker_tgid),
		Age:              nanoseconds(c.age_ns),
		TTL:              nanoseconds(c.ttl_ns),
		Resolver:         netip.AddrPortFrom(addrOf(&c.resolver), uint16(c.resolver.port)),
	}
}

func nanoseconds(ns C.uint64_t) time.Duration { return time.Duration(min(uint64(ns), math.MaxInt64)) }

func addrOf(c *C.struct_agentsh_ebpf_address) netip.Addr {
	addr := *(*[16]byte)(unsafe.Pointer(&c.addr))
	switch uint16(c.family) {
	case FamilyIPv4:
		return netip.AddrFrom4([4]byte(addr[:4]))
	case FamilyIPv6:
		return netip.AddrFrom16(addr)
	}
	return netip.Addr{}
}

// familyOf returns the family of an address, and its bytes in network byte order.
func familyOf(addr netip.Addr) (family C.uint16_t, bytes [16]byte) {
	switch addr = addr.Unmap(); {
	case addr.Is4():
		v4 := addr.As4()
		copy(bytes[:], v4[:])
		return C.uint16_t(FamilyIPv4), bytes
	case addr.Is6():
		return C.uint16_t(FamilyIPv6), addr.As16()
	}
	return 0, bytes
}

func toAddress(from netip.AddrPort) C.struct_agentsh_ebpf_address {
	family, bytes := familyOf(from.Addr())
	return C.struct_agentsh_ebpf_address{
		family: family,
		port:   C.uint16_t(from.Port()),
		addr:   *(*[16]C.uint8_t)(unsafe.Pointer(&bytes)),
	}
}

// Name returns the name of an event. It must be called before the next Read or TryRead, in a loop over
// Events before the end of the loop's body; the result stays valid. The error is syscall.ENOENT if the
// event has no name (NameID is 0), or if the tracer was read again since the event was read.
func (t *Tracer) Name(event *Event) (*Name, error) {
	if event.NameID == 0 {
		return nil, errNoName
	}
	name := new(Name)
	if err := t.CopyName(event, name); err != nil {
		return nil, err
	}
	return name, nil
}

// CopyName is as Name, but overwrites a Name of the caller. It allocates memory only for texts that the
// tracer does not remember from earlier calls.
func (t *Tracer) CopyName(event *Event, to *Name) error {
	if event.NameID == 0 {
		return errNoName
	}
	if err := t.lock(); err != nil {
		return err
	}
	defer t.mu.RUnlock()
	n := &t.names
	n.mu.Lock()
	defer n.mu.Unlock()
	n.init()
	*n.event = *event // so that the event of the caller need not be on the heap
	ret := C.agentsh_ebpf_event_name(t.c, (*C.struct_agentsh_ebpf_event)(unsafe.Pointer(n.event)), n.raw)
	if err := toError("name", ret, nil); err != nil {
		return err
	}
	n.copyTo(to)
	return nil
}

// DNS returns what an event of KindDNSQuery or KindDNSAnswer is about. It must be called as early as
// Name. The error is syscall.ENOENT for other kinds, or if the tracer was read again.
func (t *Tracer) DNS(event *Event) (*DNS, error) {
	if err := t.lock(); err != nil {
		return nil, err
	}
	defer t.mu.RUnlock()
	e := *event
	cEvent := (*C.struct_agentsh_ebpf_event)(unsafe.Pointer(&e))
	c := C.struct_agentsh_ebpf_dns{size: C.sizeof_struct_agentsh_ebpf_dns}
	if err := toError("dns", C.agentsh_ebpf_event_dns(t.c, cEvent, &c), nil); err != nil {
		return nil, err
	}
	list := make([]C.struct_agentsh_ebpf_address, c.addresses)
	ret := C.agentsh_ebpf_event_addresses(t.c, cEvent, unsafe.SliceData(list), C.size_t(len(list)))
	if err := toError("dns", ret, nil); err != nil {
		return nil, err
	}
	d := &DNS{QuestionType: uint16(c.question_type), RCode: uint16(c.rcode), Flags: DNSFlags(c.flags)}
	for i := range list {
		ttl := time.Duration(list[i].ttl_s) * time.Second
		d.Addresses = append(d.Addresses, DNSAddress{Addr: addrOf(&list[i]), TTL: ttl})
	}
	return d, nil
}

// LookupName returns the names that an address has in this session now. The first is the name that an
// event of no process in particular would get.
func (s *Session) LookupName(addr netip.Addr) ([]Name, error) {
	if err := s.tracer.lock(); err != nil {
		return nil, err
	}
	defer s.tracer.mu.RUnlock()
	n := &s.tracer.names
	n.mu.Lock()
	defer n.mu.Unlock()
	n.init()
	family, bytes := familyOf(addr)
	var list []Name
	for {
		ret := C.agentsh_ebpf_session_name_lookup(s.c, family, unsafe.Pointer(&bytes), C.uint32_t(len(list)), n.raw)
		if ret == -C.int(syscall.ENOENT) {
			return list, nil
		}
		if err := toError("look up a name", ret, nil); err != nil {
			return nil, err
		}
		list = append(list, Name{})
		n.copyTo(&list[len(list)-1])
	}
}

// SeedName gives an address a name that the host knows, for example from hosts(5). It holds for events
// that are read from now on, until ttl has passed, or without end if ttl is 0. It replaces the earlier seed
// of the address; the name "" only removes that seed. It works with every tracer, also without HookDNS.
func (s *Session) SeedName(addr netip.Addr, name string, ttl time.Duration) error {
	if err := s.tracer.lock(); err != nil {
		return err
	}
	defer s.tracer.mu.RUnlock()
	const op = "seed a name"
	if ttl < 0 {
		return &Error{Op: op, Errno: syscall.EINVAL, Message: fmt.Sprintf("the time to live is %v", ttl)}
	}
	family, bytes := familyOf(addr)
	var c *C.char
	if name != "" {
		if strings.Contains(name, "\x00") {
			return &Error{Op: op, Errno: syscall.EINVAL, Message: "the name contains a NUL byte"}
		}
		c = C.CString(name)
		defer C.free(unsafe.Pointer(c))
	}
	ret := C.agentsh_ebpf_session_name_seed(s.c, family, unsafe.Pointer(&bytes), c, units(ttl, time.Second))
	return toError(op, ret, nil)
}

// InjectName gives an address a name in a tracer of ModeSynthetic, as if a packet had done so, for the
// events that are injected afterwards; agentsh_ebpf_inject_name(3). Age and Others are ignored.
func (s *Session) InjectName(addr netip.Addr, name *Name) error {
	if err := s.tracer.lock(); err != nil {
		return err
	}
	defer s.tracer.mu.RUnlock()
	const op = "inject a name"
	c := C.struct_agentsh_ebpf_name{
		size:               C.sizeof_struct_agentsh_ebpf_name,
		source:             C.uint32_t(name.Source),
		server_name_source: C.uint32_t(name.ServerNameSource),
		flags:              C.uint32_t(name.Flags),
		asker_tgid:         C.uint32_t(name.AskerTGID),
		ttl_ns:             C.uint64_t(name.TTL),
		resolver:           toAddress(name.Resolver),
	}
	if name.TTL == NoEnd {
		c.ttl_ns = math.MaxUint64
	}
	for _, text := range []struct {
		to   []C.char
		from string
	}{
		{c.asked[:], name.Asked}, {c.owner[:], name.Owner},
		{c.server_name[:], name.ServerName}, {c.alpn[:], name.ALPN},
	} {
		if len(text.from) >= len(text.to) {
			return &Error{Op: op, Errno: syscall.EINVAL, Message: "a text is too long"}
		}
		for i := range len(text.from) {
			text.to[i] = C.char(text.from[i])
		}
	}
	family, bytes := familyOf(addr)
	return toError(op, C.agentsh_ebpf_inject_name(s.c, family, unsafe.Pointer(&bytes), &c), nil)
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// The test binary runs itself as the process whose connections are traced.
const childVariable = "AGENTSHEBPF_TEST_CHILD"

func TestMain(m *testing.M) {
	children := map[string]func() error{"calls": childCalls, "turns": childTurns, "burst": childBurst,
		"names": childNames, "rules": childRules}
	if name := os.Getenv(childVariable); name != "" {
		if err := children[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// truth is what the process and its socket say about one call.
type truth struct {
	Name     string
	Kinds    []Kind // the events of the socket, in this order
	Flags    Flags  // of the first event
	Cookie   uint64
	Netns    uint64
	Family   uint16
	Protocol Protocol
	Type     uint16
	Remote   netip.AddrPort
	Before   netip.AddrPort // the local end when the call began
	After    netip.AddrPort // and when it had ended
	Errno    int32
	PID      uint32 // 0: any thread of the process
	From, To uint64 // CLOCK_BOOTTIME
}

// childTruth is what childCalls writes to its standard output.
type childTruth struct {
	TGID, PPID, UID, GID uint32
	Comm                 string
	StartNs              uint64
	ExeInode             uint64
	ExeDevice            uint64
	Calls                []truth
}

var (
	tcpOK     = []Kind{KindConnect, KindConnected, KindClosed}
	tcpFailed = []Kind{KindConnect, KindConnectFailed}
	datagram  = []Kind{KindConnect, KindClosed}
	sent      = []Kind{KindUDPSend, KindClosed}
)

// Calls by plain system calls.
var rawCalls = []struct {
	name     string
	domain   int
	socktype int
	to       string
	bind     string
	how      string // "connect", "send" (sendto), "connect and send", "send twice"
	refused  bool
	kinds    []Kind
	flags    Flags
}{
	{"TCP v4", syscall.AF_INET, syscall.SOCK_STREAM, "127.0.0.1", "", "connect", false, tcpOK, 0},
	{"TCP v6", syscall.AF_INET6, syscall.SOCK_STREAM, "::1", "", "connect", false, tcpOK, 0},
	{"TCP v4-mapped", syscall.AF_INET6, syscall.SOCK_STREAM, "::ffff:127.0.0.1", "", "connect", false, tcpOK, FlagV4Mapped},
	{"TCP v4 bound", syscall.AF_INET, syscall.SOCK_STREAM, "127.0.0.1", "127.3.2.1", "connect", false, tcpOK, 0},
	{"TCP v4 refused", syscall.AF_INET, syscall.SOCK_STREAM, "127.0.0.1", "", "connect", true, tcpFailed, 0},
	{"TCP v6 refused", syscall.AF_INET6, syscall.SOCK_STREAM, "::1", "", "connect", true, tcpFailed, 0},
	{"UDP v4 connected", syscall.AF_INET, syscall.SOCK_DGRAM, "127.4.5.6", "", "connect", false, datagram, 0},
	{"UDP v6 connected", syscall.AF_INET6, syscall.SOCK_DGRAM, "::1", "", "connect", false, datagram, 0},
	{"UDP v4 connected, sends", syscall.AF_INET, syscall.SOCK_DGRAM, "127.0.0.1", "", "connect and send", false, datagram, 0},
	{"UDP v4 unconnected", syscall.AF_INET, syscall.SOCK_DGRAM, "127.4.5.7", "", "send", false, sent, 0},
	{"UDP v6 unconnected", syscall.AF_INET6, syscall.SOCK_DGRAM, "::1", "", "send", false, sent, 0},
	{"UDP v4-mapped", syscall.AF_INET6, syscall.SOCK_DGRAM, "::ffff:127.0.0.1", "", "send", false, sent, FlagV4Mapped},
	{"UDP v4, a repeated datagram", syscall.AF_INET, syscall.SOCK_DGRAM, "127.0.0.1", "", "send twice", false, sent, 0},
}

// Calls by the package net.
var netCalls = []struct {
	network, to string
	refused     bool
	kinds       []Kind
}{
	{"tcp4", "127.0.0.1", false, tcpOK},
	{"tcp6", "::1", false, tcpOK},
	{"tcp4", "127.0.0.1", true, tcpFailed},
	{"tcp6", "::1", true, tcpFailed},
	{"udp4", "127.0.0.1", false, datagram},
	{"udp6", "::1", false, datagram},
}

func bootNs() uint64 {
	var ts syscall.Timespec
	const clockBoottime = 7
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno)
	}
	return uint64(ts.Nano())
}

func sockopt64(fd, option int) uint64 {
	var value uint64
	size := uint32(unsafe.Sizeof(value))
	syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), syscall.SOL_SOCKET, uintptr(option),
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	return value // 0 if the kernel does not know the option
}

// socket fills in what the socket says about itself.
func (t *truth) socket(fd int) {
	const soProtocol, soCookie, soNetnsCookie = 38, 57, 71
	t.Cookie, t.Netns = sockopt64(fd, soCookie), sockopt64(fd, soNetnsCookie)
	protocol, _ := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, soProtocol)
	socktype, _ := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	t.Protocol, t.Type = Protocol(protocol), uint16(socktype)
	t.Family = FamilyIPv6
	if t.Remote.Addr().Is4() {
		t.Family = FamilyIPv4
	}
}

// As an event has the address: a mapped one as IPv4.
func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func fromSockaddr(sa syscall.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

func toSockaddr(domain int, a netip.AddrPort) syscall.Sockaddr {
	if domain == syscall.AF_INET {
		return &syscall.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &syscall.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

func localEnd(fd int) netip.AddrPort {
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return plain(fromSockaddr(sa))
}

// peer returns an address that accepts TCP connections, or refuses them, or a UDP socket's.
func peer(socktype int, to string, refused bool) (netip.AddrPort, func(), error) {
	addr := netip.MustParseAddr(to)
	at := net.JoinHostPort(addr.Unmap().String(), "0")
	if socktype == syscall.SOCK_DGRAM {
		conn, err := net.ListenPacket("udp", at)
		if err != nil {
			return netip.AddrPort{}, nil, err
		}
		port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		return netip.AddrPortFrom(addr, port), func() { conn.Close() }, nil
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return netip.AddrPort{}, nil, err
	}
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	if refused {
		return netip.AddrPortFrom(addr, port), func() {}, listener.Close()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// The process closes its end first, so that the connection ends in an orderly way.
		if conn, err := listener.Accept(); err == nil {
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	return netip.AddrPortFrom(addr, port), func() { <-ended; listener.Close() }, nil
}

func childCalls() error {
	self, err := aboutSelf()
	if err != nil {
		return err
	}
	for i := range rawCalls {
		t, err := rawCall(i)
		if err != nil {
			return fmt.Errorf("%s: %w", rawCalls[i].name, err)
		}
		self.Calls = append(self.Calls, t)
	}
	for i := range netCalls {
		t, err := netCall(i)
		if err != nil {
			return fmt.Errorf("net.Dial %s: %w", netCalls[i].network, err)
		}
		self.Calls = append(self.Calls, t)
	}
	return json.NewEncoder(os.Stdout).Encode(self)
}

func aboutSelf() (childTruth, error) {
	var exe syscall.Stat_t
	if err := syscall.Stat("/proc/self/exe", &exe); err != nil {
		return childTruth{}, err
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return childTruth{}, err
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return childTruth{}, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks, err := strconv.ParseUint(fields[22-3], 10, 64)
	return childTruth{
		TGID: uint32(os.Getpid()), PPID: uint32(os.Getppid()),
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		Comm: strings.TrimSpace(string(comm)), StartNs: ticks * 10_000_000,
		ExeInode: exe.Ino, ExeDevice: exe.Dev,
	}, err
}

func rawCall(i int) (truth, error) {
	call := &rawCalls[i]
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	to, stop, err := peer(call.socktype, call.to, call.refused)
	if err != nil {
		return truth{}, err
	}
	defer stop()
	fd, err := syscall.Socket(call.domain, call.socktype|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return truth{}, err
	}
	defer syscall.Close(fd)
	if call.bind != "" {
		at := netip.AddrPortFrom(netip.MustParseAddr(call.bind), 0)
		if err := syscall.Bind(fd, toSockaddr(call.domain, at)); err != nil {
			return truth{}, err
		}
	}
	t := truth{Name: call.name, Kinds: call.kinds, Flags: call.flags, Remote: plain(to), PID: uint32(syscall.Gettid())}
	t.socket(fd)
	if to.Addr().Is4In6() && call.bind == "" {
		t.Before = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	} else {
		t.Before = localEnd(fd)
	}
	sa := toSockaddr(call.domain, to)
	t.From = bootNs()
	if strings.HasPrefix(call.how, "connect") {
		err = syscall.Connect(fd, sa)
	} else {
		err = syscall.Sendto(fd, []byte("x"), 0, sa)
	}
	t.To = bootNs()
	t.setErrno(err)
	t.After = localEnd(fd)
	if t.Family == FamilyIPv4 && t.After.Addr().Is6() {
		t.After = netip.AddrPortFrom(netip.IPv4Unspecified(), t.After.Port())
	}
	switch call.how {
	case "send":
	case "send twice":
		err = syscall.Sendto(fd, []byte("y"), 0, sa)
	case "connect and send":
		_, err = syscall.Write(fd, []byte("x"))
	}
	if (err != nil) != call.refused {
		return truth{}, fmt.Errorf("the call returns %v", err)
	}
	return t, nil
}

func (t *truth) setErrno(err error) {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		t.Errno = int32(errno)
	}
}

func netCall(i int) (truth, error) {
	call := &netCalls[i]
	socktype := syscall.SOCK_STREAM
	if strings.HasPrefix(call.network, "udp") {
		socktype = syscall.SOCK_DGRAM
	}
	to, stop, err := peer(socktype, call.to, call.refused)
	if err != nil {
		return truth{}, err
	}
	defer stop()
	t := truth{Name: fmt.Sprintf("net.Dial %s %v", call.network, to), Kinds: call.kinds, Remote: to}
	dialer := net.Dialer{Control: func(_, _ string, conn syscall.RawConn) error {
		return conn.Control(func(fd uintptr) {
			t.socket(int(fd))
			t.Before = localEnd(int(fd))
			t.From = bootNs()
		})
	}}
	conn, err := dialer.Dial(call.network, to.String())
	t.To = bootNs()
	t.setErrno(err)
	if (err != nil) != call.refused {
		return truth{}, fmt.Errorf("Dial returns %v", err)
	}
	if err == nil {
		t.After = plain(netip.MustParseAddrPort(conn.LocalAddr().String()))
		conn.Close()
	}
	return t, nil
}

// childTurns connects once for each byte that it reads, and ends at the end of the input.
func childTurns() error {
	for input := bufio.NewReader(os.Stdin); ; {
		if _, err := input.ReadByte(); err != nil {
			return nil
		}
		if err := connectUDP(); err != nil {
			return err
		}
	}
}

// bursts and burstSize are the connects of childBurst.
const bursts, burstSize = 100, 100

func childBurst() error {
	for range bursts {
		for range burstSize {
			if err := connectUDP(); err != nil {
				return err
			}
		}
		runtime.Gosched()
	}
	return nil
}

func connectUDP() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	return syscall.Connect(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9})
}

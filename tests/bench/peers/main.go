// SPDX-License-Identifier: Apache-2.0

// A session tracer as one would write it with cilium/ebpf: it loads and attaches the program once
// per session, and one goroutine per session sends the records through a channel. It is a baseline
// of the scenario peers.
//
//	reader OBJECT read CGROUP          reads events until SIGTERM, then prints figures
//	reader OBJECT sessions CGROUP...   attaches a session per cgroup and prints their cost
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"sort"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Record is struct agentsh_record of bpf/record.h.
type Record struct {
	Version, Kind                  uint8
	Flags                          uint16
	Slot, Generation               uint32
	Family, Protocol, SocketType   uint16
	LocalPort, RemotePort, Zero    uint16
	Timestamp, Session, Lost       uint64
	SocketCookie, NetnsCookie      uint64
	Pid, Tgid, Ppid, NsPid, NsTgid uint32
	Uid, Gid, TaskZero             uint32
	CgroupID, ProcessStart         uint64
	Comm                           [16]byte
	Local, Remote                  [16]byte
}

type session struct {
	objects struct {
		Program *ebpf.Program `ebpf:"bench_minimal"`
		Ring    *ebpf.Map     `ebpf:"bench_ring"`
	}
	link   link.Link
	reader *ringbuf.Reader
}

func open(object, cgroup string) (*session, error) {
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		return nil, err
	}
	s := &session{}
	if err = spec.LoadAndAssign(&s.objects, nil); err != nil {
		return nil, err
	}
	s.link, err = link.AttachCgroup(link.CgroupOptions{
		Path: cgroup, Attach: ebpf.AttachCGroupInet4Connect, Program: s.objects.Program})
	if err != nil {
		return nil, err
	}
	s.reader, err = ringbuf.NewReader(s.objects.Ring)
	return s, err
}

// read ends when the reader is closed.
func (s *session) read(to chan<- Record) {
	for {
		raw, err := s.reader.Read()
		if err != nil {
			return
		}
		var record Record
		if binary.Read(bytes.NewReader(raw.RawSample), binary.LittleEndian, &record) == nil {
			to <- record
		}
	}
}

func bootNs() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		log.Fatal(err)
	}
	return uint64(ts.Nano())
}

func read(object, cgroup string) {
	s, err := open(object, cgroup)
	if err != nil {
		log.Fatal(err)
	}
	events := make(chan Record, 1024)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)
	go s.read(events)
	fmt.Println("ready")
	delays := make([]uint64, 0, 1<<20)
	for {
		select {
		case e := <-events:
			delays = append(delays, bootNs()-e.Timestamp)
		case <-stop:
			sort.Slice(delays, func(i, k int) bool { return delays[i] < delays[k] })
			p := func(percent int) uint64 {
				if len(delays) == 0 {
					return 0
				}
				return delays[(len(delays)-1)*percent/100]
			}
			fmt.Println("figures", len(delays), p(50), p(99))
			return
		}
	}
}

func count(dir string) int {
	entries, err := os.ReadDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	return len(entries)
}

func sessions(object string, cgroups []string) {
	events := make(chan Record, 1024)
	fds, threads := count("/proc/self/fd"), count("/proc/self/task")
	took := make([]time.Duration, 0, len(cgroups))
	keep := make([]*session, 0, len(cgroups))
	for _, cgroup := range cgroups {
		begin := time.Now()
		s, err := open(object, cgroup)
		if err != nil {
			log.Fatal(err)
		}
		go s.read(events)
		took = append(took, time.Since(begin))
		keep = append(keep, s)
	}
	time.Sleep(100 * time.Millisecond) // until every reader waits
	fds, threads = count("/proc/self/fd")-fds, count("/proc/self/task")-threads
	sort.Slice(took, func(i, k int) bool { return took[i] < took[k] })
	n := float64(len(keep))
	fmt.Println("figures", took[len(took)/2].Nanoseconds(), float64(fds)/n, float64(threads)/n)
	runtime.KeepAlive(keep)
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("reader OBJECT read|sessions CGROUP...")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		log.Fatal(err)
	}
	if os.Args[2] == "read" {
		read(os.Args[1], os.Args[3])
	} else {
		sessions(os.Args[1], os.Args[3:])
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// A test of a host needs no privilege: the tracer delivers the events that the test injects.
func Example() {
	tracer, err := agentshebpf.Open(agentshebpf.Options{Mode: agentshebpf.ModeSynthetic})
	if err != nil {
		log.Fatal(err)
	}
	defer tracer.Close()
	cgroup, err := os.Open("/") // a real tracer needs the directory of a cgroup
	if err != nil {
		log.Fatal(err)
	}
	defer cgroup.Close()
	session, err := tracer.Attach(cgroup, agentshebpf.SessionOptions{ID: 7})
	if err != nil {
		log.Fatal(err)
	}
	err = session.Inject(&agentshebpf.Event{
		Kind:       agentshebpf.KindConnectFailed,
		Protocol:   agentshebpf.ProtocolTCP,
		Family:     agentshebpf.FamilyIPv4,
		RemoteAddr: [16]byte{127, 0, 0, 1},
		RemotePort: 443,
		Errno:      int32(syscall.ECONNREFUSED),
	})
	if err != nil {
		log.Fatal(err)
	}

	for event, err := range tracer.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.SessionID, event.Kind, event.Protocol, event.Remote(), event.Err())
		break
	}
	// Output: 7 connect_failed tcp 127.0.0.1:443 connection refused
}

// The error tells which step failed, and carries the message of the library.
func ExampleError() {
	_, err := agentshebpf.Open(agentshebpf.Options{
		Mode:      agentshebpf.ModeSynthetic,
		RingQuota: 200,
	})
	fmt.Println(errors.Is(err, syscall.ERANGE), errors.Is(err, agentshebpf.StepOptions))
	fmt.Println(err)
	// Output:
	// true true
	// agentshebpf: open: ring_quota is 200; it must be from 1 to 100, or 0 for the default 25
}

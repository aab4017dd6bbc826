// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf/internal/clib"
)

// Read in batches of 256, in the fastest batch, which other processes have disturbed least: ns/event
// is the whole cost; cgo-ns/event is what Go adds to the same read in C.
func BenchmarkRead256(b *testing.B) {
	tracer := openSynthetic(b, Options{RingQuota: 100})
	session := attachSynthetic(b, tracer, 1)
	events := make([]Event, batch)
	fastest := time.Hour
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		injectN(b, session, batch)
		b.StartTimer()
		start := time.Now()
		n, err := tracer.Read(context.Background(), events)
		fastest = min(fastest, time.Since(start))
		if n != batch || err != nil {
			b.Fatal(n, err)
		}
	}
	b.StopTimer()
	perEvent := float64(fastest.Nanoseconds()) / batch
	b.ReportMetric(perEvent, "ns/event")
	inC := clib.ReadNs(b.N, batch)
	if inC == 0 {
		b.Fatal("the C benchmark failed")
	}
	b.ReportMetric(perEvent-inC, "cgo-ns/event")
}

// An empty read is nothing but the cost of a call, which a batch shares.
func BenchmarkTryReadEmpty(b *testing.B) {
	tracer := openSynthetic(b, Options{})
	events := make([]Event, batch)
	b.ReportAllocs()
	for range b.N {
		if n, err := tracer.TryRead(events); n != 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkEvents(b *testing.B) {
	tracer := openSynthetic(b, Options{RingQuota: 100})
	session := attachSynthetic(b, tracer, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		b.StopTimer()
		injectN(b, session, batch)
		b.StartTimer()
		seen := 0
		for event, err := range tracer.Events(context.Background()) {
			if err != nil || event.Kind != KindConnect {
				b.Fatal(event, err)
			}
			if seen++; seen == batch {
				break
			}
		}
		done += seen
	}
}

// What a reader adds for each event to have its name: the names of 200 addresses, in turn.
func BenchmarkCopyName(b *testing.B) {
	const addresses = 200
	tracer := openSynthetic(b, Options{RingQuota: 100})
	session := attachSynthetic(b, tracer, 1)
	for i := range addresses {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		text := fmt.Sprintf("host-%d.service.example.org", i)
		must(b, session.InjectName(addr, &Name{Asked: text, Owner: text, Source: NameDNS}))
		e := eventTo(addr)
		must(b, session.Inject(&e))
	}
	events := make([]Event, addresses)
	n, err := tracer.Read(context.Background(), events)
	if n != addresses || err != nil {
		b.Fatal(n, err)
	}
	var name Name
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := tracer.CopyName(&events[i%addresses], &name); err != nil {
			b.Fatal(err)
		}
	}
}

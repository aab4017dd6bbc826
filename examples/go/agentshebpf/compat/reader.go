// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

const batch = 256

// reader is an open tracer and the goroutine that reads it.
type reader struct {
	tracer *agentshebpf.Tracer
	done   chan struct{}
	// A flush ends after so many events, even if more arrive all the time. It is more than fit into
	// the ring.
	flushMax int

	mu       sync.Mutex
	sessions map[uint64]*Collection
	flushes  []chan struct{} // closed when the events before the request are distributed
	stopping bool
	stopped  bool

	name agentshebpf.Name // of the event in work; only for the goroutine
	lost uint64           // losses of all sessions when countLost last looked; only for the goroutine
}

func newReader(opts agentshebpf.Options) (*reader, error) {
	tracer, err := agentshebpf.Open(opts)
	if err != nil {
		return nil, err
	}
	r := &reader{
		tracer:   tracer,
		done:     make(chan struct{}),
		flushMax: max(1<<16, int(opts.RingSize/16)), // a record has more than 16 bytes
		sessions: make(map[uint64]*Collection),
	}
	go r.run()
	return r, nil
}

// stop ends the goroutine and closes the tracer.
func (r *reader) stop() {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	r.tracer.Wake()
	<-r.done
	r.tracer.Close()
}

// flush waits until all events that happened before the call are distributed.
func (r *reader) flush() {
	done := make(chan struct{})
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return
	}
	r.flushes = append(r.flushes, done)
	r.mu.Unlock()
	r.tracer.Wake()
	<-done
}

func (r *reader) add(id uint64, c *Collection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[id] = c
}

func (r *reader) remove(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, id)
}

// requests takes what other goroutines have asked for.
func (r *reader) requests() (flushes []chan struct{}, stopping bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	flushes, r.flushes = r.flushes, nil
	return flushes, r.stopping
}

// end answers the requests that came too late.
func (r *reader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for _, done := range r.flushes {
		close(done)
	}
	close(r.done)
}

func (r *reader) run() {
	defer r.end()
	events := make([]agentshebpf.Event, batch)
	for {
		flushes, stopping := r.requests()
		if len(flushes) > 0 {
			r.drain(events)
			for _, done := range flushes {
				close(done)
			}
		}
		if stopping {
			return
		}
		// A request that comes from here on wakes Read.
		n, err := r.tracer.TryRead(events)
		if n == 0 && err == nil {
			r.countLost()
			n, err = r.tracer.Read(context.Background(), events)
		}
		r.distribute(events[:n])
		if err != nil {
			time.Sleep(10 * time.Millisecond) // an error that stays must not use up a CPU
		}
	}
}

func (r *reader) drain(events []agentshebpf.Event) {
	for total := 0; total < r.flushMax; {
		n, err := r.tracer.TryRead(events)
		r.distribute(events[:n])
		if n == 0 || err != nil {
			return
		}
		total += n
	}
}

// countLost counts the losses of the ring that no event has reported. A session may lose events
// although it has none in the ring, when those of other sessions fill it.
func (r *reader) countLost() {
	stats, err := r.tracer.Stats()
	if err != nil || stats.Lost == r.lost {
		return
	}
	r.lost = stats.Lost
	r.mu.Lock()
	sessions := slices.Collect(maps.Values(r.sessions))
	r.mu.Unlock()
	for _, c := range sessions {
		c.countLost()
	}
}

// distribute passes events to their sessions.
func (r *reader) distribute(events []agentshebpf.Event) {
	if len(events) == 0 {
		return
	}
	unixNs := events[0].Time().UnixNano() - int64(events[0].TimestampNs)
	var c *Collection
	for i := range events {
		if e := &events[i]; c == nil || c.id != e.SessionID {
			c = r.session(e.SessionID)
		}
		if c != nil {
			c.deliver(&events[i], r.nameOf(&events[i]), unixNs)
		}
	}
}

// nameOf returns the name of an event that becomes a ConnectEvent, or nil. It is valid until the next call,
// and the library has it only until the next read.
func (r *reader) nameOf(e *agentshebpf.Event) *agentshebpf.Name {
	if e.NameID == 0 || !reported(e.Kind) || r.tracer.CopyName(e, &r.name) != nil {
		return nil
	}
	return &r.name
}

func (r *reader) session(id uint64) *Collection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[id]
}

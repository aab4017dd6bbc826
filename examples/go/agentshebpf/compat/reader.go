// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"context"
	"sync"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

const (
	batch = 256
	// A flush ends after this number of events, even if events keep arriving. The default ring holds
	// fewer events.
	flushMax = 1 << 16
)

// reader is an open tracer and the goroutine that reads it.
type reader struct {
	tracer *agentshebpf.Tracer
	done   chan struct{}

	mu       sync.Mutex
	sessions map[uint64]*Collection
	flushes  []chan struct{} // closed when the events before the request are distributed
	stopping bool
	stopped  bool

	unchecked []*Collection // sessions with events since countLost; only for the goroutine
}

func newReader(opts agentshebpf.Options) (*reader, error) {
	tracer, err := agentshebpf.Open(opts)
	if err != nil {
		return nil, err
	}
	r := &reader{tracer: tracer, done: make(chan struct{}), sessions: make(map[uint64]*Collection)}
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
		// TryRead may use up the wake of a request that comes meanwhile, so look for requests
		// again before each Read.
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
		if len(flushes) > 0 {
			continue
		}
		n, err := r.tracer.Read(context.Background(), events)
		r.distribute(events[:n], n < len(events))
		if err != nil {
			time.Sleep(10 * time.Millisecond) // an error that stays must not use up a CPU
		}
	}
}

func (r *reader) drain(events []agentshebpf.Event) {
	for total := 0; total < flushMax; {
		n, err := r.tracer.TryRead(events)
		r.distribute(events[:n], n < len(events))
		if n == 0 || err != nil {
			return
		}
		total += n
	}
}

// distribute passes events to their sessions. When the ring is empty, it also looks for losses
// that no event has reported yet.
func (r *reader) distribute(events []agentshebpf.Event, empty bool) {
	if len(events) == 0 {
		return
	}
	unixNs := events[0].Time().UnixNano() - int64(events[0].TimestampNs)
	var c *Collection
	for i := range events {
		if e := &events[i]; c == nil || c.id != e.SessionID {
			c = r.session(e.SessionID)
		}
		if c == nil {
			continue
		}
		c.deliver(&events[i], unixNs)
		if !c.unchecked {
			c.unchecked = true
			r.unchecked = append(r.unchecked, c)
		}
	}
	if !empty {
		return
	}
	for i, c := range r.unchecked {
		c.countLost()
		c.unchecked = false
		r.unchecked[i] = nil
	}
	r.unchecked = r.unchecked[:0]
}

func (r *reader) session(id uint64) *Collection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[id]
}

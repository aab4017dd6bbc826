// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"errors"
	"sync"
)

// Collector receives the events of a session.
type Collector struct {
	handle *Collection
	events chan ConnectEvent
	once   sync.Once

	// The mutex of the handle protects these members.
	onDrop    func()
	dropped   uint64 // drops for which onDrop was not called yet
	notifying bool
}

// StartCollector starts to deliver the events of a session through a channel with room for bufSize
// events, or 1024 if bufSize is not positive. Events since the session was attached come first; the
// channel is larger if they require it. A session has at most one open collector.
func StartCollector(handle *Collection, bufSize int) (*Collector, error) {
	if handle == nil {
		return nil, errors.New("compat: the handle is nil")
	}
	if bufSize <= 0 {
		bufSize = 1024
	}
	if !process.retain(handle.reader) {
		return nil, errors.New("compat: the session is not attached")
	}
	c, err := handle.start(bufSize)
	if err != nil {
		process.release()
	}
	return c, err
}

func (c *Collection) start(bufSize int) (*Collector, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.attached {
		return nil, errors.New("compat: the session is not attached")
	}
	if c.collector != nil {
		return nil, errors.New("compat: the session has a collector already")
	}
	c.collector = &Collector{
		handle:  c,
		events:  make(chan ConnectEvent, max(bufSize, len(c.early))),
		dropped: c.dropped,
	}
	for _, ev := range c.early {
		c.collector.events <- ev
	}
	c.early, c.dropped, c.started = nil, 0, true
	return c.collector, nil
}

// Events returns the channel of events. Close closes the channel; the events in it can still be
// received.
func (c *Collector) Events() <-chan ConnectEvent { return c.events }

// SetOnDrop sets a function that is called once per event that was dropped because the channel
// was full, or lost because the ring buffer was full. It is also called for earlier drops. The calls
// are made one at a time, by a goroutine of this collector, and may end shortly after Close has
// returned.
// The function may call all functions of this package.
func (c *Collector) SetOnDrop(fn func()) {
	c.handle.mu.Lock()
	defer c.handle.mu.Unlock()
	c.onDrop = fn
	c.drop(0)
}

// Close moves the events that happened before the call into the channel and closes it. The
// session stays attached; events after Close are discarded. Calls after the first do nothing.
// Close returns nil.
func (c *Collector) Close() error {
	c.once.Do(func() {
		h := c.handle
		h.reader.flush()
		h.countLost()
		h.mu.Lock()
		h.collector = nil
		close(c.events)
		attached := h.attached
		h.mu.Unlock()
		if !attached {
			h.reader.remove(h.id)
		}
		process.release()
	})
	return nil
}

// drop counts drops. The caller holds the mutex of the handle.
func (c *Collector) drop(n uint64) {
	c.dropped += n
	if c.dropped > 0 && c.onDrop != nil && !c.notifying {
		c.notifying = true
		go c.notify()
	}
}

// notify calls onDrop once per drop, until no drop is left.
func (c *Collector) notify() {
	for {
		c.handle.mu.Lock()
		fn, n := c.onDrop, c.dropped
		if fn == nil || n == 0 {
			c.notifying = false
			c.handle.mu.Unlock()
			return
		}
		c.dropped = 0
		c.handle.mu.Unlock()
		for ; n > 0; n-- {
			fn()
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"fmt"
	"os"
	"sync"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// earlyMax is the number of events that are kept until StartCollector is called.
const earlyMax = 4096

// Collection is the handle of an attached session. It replaces the *ebpf.Collection of agentsh.
type Collection struct {
	reader  *reader
	session *agentshebpf.Session
	id      uint64
	// The inode number of the directory of the session's cgroup.
	cgroupID uint64

	mu        sync.Mutex
	attached  bool
	started   bool           // StartCollector was called
	collector *Collector     // the open collector
	early     []ConnectEvent // events before StartCollector
	dropped   uint64         // events that were dropped before StartCollector
	lost      uint64         // losses of the ring that are counted already
}

// AttachConnectToCgroup starts to trace the cgroup v2 at path, with its descendants. detach stops
// it; calls after the first do nothing and return nil. Either of detach and Collector.Close may be
// called first.
func AttachConnectToCgroup(path string) (handle *Collection, detach func() error, err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	cgroupID, err := CgroupID(path)
	if err != nil {
		return nil, nil, err
	}
	r, id, err := process.open()
	if err != nil {
		return nil, nil, err
	}
	c := &Collection{reader: r, id: id, cgroupID: cgroupID, attached: true}
	r.add(id, c) // before the first event
	session, err := r.tracer.Attach(dir, agentshebpf.SessionOptions{ID: id})
	if err != nil {
		r.remove(id)
		process.release()
		return nil, nil, fmt.Errorf("attach to %s: %w", path, err)
	}
	c.mu.Lock()
	c.session = session
	c.mu.Unlock()
	return c, c.detach, nil
}

// Session returns the session of package agentshebpf, for its statistics, and for
// agentshebpf.Session.Inject in tests.
func (c *Collection) Session() *agentshebpf.Session { return c.session }

// Close detaches the session, as the function detach does.
func (c *Collection) Close() { _ = c.detach() }

func (c *Collection) detach() error {
	c.mu.Lock()
	if !c.attached {
		c.mu.Unlock()
		return nil
	}
	c.attached = false
	c.mu.Unlock()

	stats, statsErr := c.session.Stats() // a detached session has none
	err := c.session.Detach()
	policies.mu.Lock()
	c.forget()
	policies.mu.Unlock()

	c.mu.Lock()
	if statsErr == nil {
		c.addLost(stats.Lost)
	}
	c.early = nil
	closed := c.collector == nil
	c.mu.Unlock()
	if closed {
		c.reader.remove(c.id)
	}
	process.release()
	return err
}

// deliver passes an event on without blocking.
func (c *Collection) deliver(e *agentshebpf.Event, name *agentshebpf.Name, unixNs int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addLost(e.SessionLost)
	if !reported(e.Kind) {
		return
	}
	switch {
	case c.collector != nil:
		select {
		case c.collector.events <- convert(e, name, unixNs):
		default:
			c.drop(1)
		}
	case c.started || !c.attached:
	case len(c.early) < earlyMax:
		c.early = append(c.early, convert(e, name, unixNs))
	default:
		c.drop(1)
	}
}

// countLost counts the losses of the ring that no event has reported.
func (c *Collection) countLost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.attached || c.session == nil {
		return
	}
	if stats, err := c.session.Stats(); err == nil {
		c.addLost(stats.Lost)
	}
}

// addLost counts losses of the ring. total is their number since the session was attached. An
// event may have an earlier number than the statistics, so a smaller number is ignored.
func (c *Collection) addLost(total uint64) {
	if total > c.lost {
		c.drop(total - c.lost)
		c.lost = total
	}
}

func (c *Collection) drop(n uint64) {
	if c.collector != nil {
		c.collector.drop(n)
	} else if !c.started {
		c.dropped += n
	}
}

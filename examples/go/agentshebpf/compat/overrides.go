// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"math"
	"sync"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// MapOverrides are numbers of entries for which there is room. agentsh has a map for each; here all
// rules share the memory Options.RulesBytes.
type MapOverrides struct {
	Allow   uint32
	Deny    uint32
	LPM     uint32
	LPMDeny uint32
	Default uint32
}

const (
	ruleBytes    = 2 * 59  // of a rule for IPv6, while a policy replaces another one
	defaultBytes = 4 << 20 // of the library
	mostBytes    = 1 << 30 // that the library accepts
	sharedRules  = defaultBytes / ruleBytes
)

var overrides struct {
	mu   sync.Mutex
	once sync.Once
	set  MapOverrides
}

// SetMapSizeOverrides makes room for so many entries when the tracer is opened the next time; 0 keeps the
// default. Less than the default has no effect. Only the first call counts, as in agentsh.
func SetMapSizeOverrides(allow, deny, lpm, lpmDeny, def uint32) {
	overrides.mu.Lock()
	defer overrides.mu.Unlock()
	overrides.once.Do(func() { overrides.set = MapOverrides{allow, deny, lpm, lpmDeny, def} })
}

// GetMapOverrides returns the numbers of SetMapSizeOverrides; 0 for the default.
func GetMapOverrides() MapOverrides {
	overrides.mu.Lock()
	defer overrides.mu.Unlock()
	return overrides.set
}

// EmbeddedMapDefaults returns for how many entries of IPv6 there is room by default. The entries of all kinds
// and all sessions share this room. The error is always nil.
func EmbeddedMapDefaults() (MapOverrides, error) {
	return MapOverrides{sharedRules, sharedRules, sharedRules, sharedRules, sharedRules}, nil
}

// apply sets the memory for rules, unless the host has set it.
func (o MapOverrides) apply(opts *agentshebpf.Options) {
	rules := uint64(o.Allow) + uint64(o.Deny) + uint64(o.LPM) + uint64(o.LPMDeny)
	if bytes := rules * ruleBytes; opts.RulesBytes == 0 && bytes > defaultBytes && opts.Hooks&agentshebpf.HookRules != 0 {
		opts.RulesBytes = uint32(min(bytes, mostBytes, math.MaxUint32))
	}
}

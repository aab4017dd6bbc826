// SPDX-License-Identifier: Apache-2.0

package agentshebpf

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrUnsupported is returned by all calls in a build without the C library: on systems other than
// Linux, and with CGO_ENABLED=0. It is an errors.ErrUnsupported.
var ErrUnsupported = fmt.Errorf("agentshebpf: this program was built without libagentsh-ebpf: %w",
	errors.ErrUnsupported)

// ErrClosed is returned by calls with a tracer that was closed, or with a session of such a tracer.
// It is os.ErrClosed.
var ErrClosed = os.ErrClosed

// ErrFallback is what errors.Is finds in the error of [Tracer.NewRules] if memory was short and the
// call has made a set without rules (RulesOptions.OnExhaustion).
var ErrFallback = errors.New("agentshebpf: memory is short, so the set has no rules")

// Error is a failed call of the library. errors.Is finds its Errno (also as
// os.ErrPermission and the like) and its Step.
type Error struct {
	// Op is the call: "open", "attach", ...
	Op string
	// Errno is the error number.
	Errno syscall.Errno
	// Step is the step that failed; StepNone if the call does not tell.
	Step Step
	// Message is the message of the library for a human reader: what failed, with which value,
	// and the remedy. It may be empty.
	Message string

	fallback bool // the call has made a set without rules all the same
}

// Error returns the operation and the message of the library, or of the error number.
func (e *Error) Error() string {
	message := e.Message
	if message == "" {
		message = e.Errno.Error()
	}
	return "agentshebpf: " + e.Op + ": " + message
}

// Unwrap returns the Errno.
func (e *Error) Unwrap() error { return e.Errno }

// Is reports whether target is the Step of the error, or ErrFallback if that applies.
func (e *Error) Is(target error) bool {
	if target == ErrFallback {
		return e.fallback
	}
	step, ok := target.(Step)
	return ok && step == e.Step && step != StepNone
}

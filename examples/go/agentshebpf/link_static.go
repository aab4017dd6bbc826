// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && agentshebpf_static

package agentshebpf

// #cgo pkg-config: --static agentsh-ebpf-static
import "C"

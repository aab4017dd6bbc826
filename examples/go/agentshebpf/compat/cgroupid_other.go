// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package compat

import "errors"

// CgroupID returns an error on systems other than Linux.
func CgroupID(path string) (uint64, error) { return 0, errors.ErrUnsupported }

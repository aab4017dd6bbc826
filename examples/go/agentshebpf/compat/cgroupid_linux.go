// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"errors"
	"os"
	"syscall"
)

// CgroupID returns the number by which the kernel knows a cgroup v2: the inode number of its
// directory.
func CgroupID(path string) (uint64, error) {
	var st syscall.Stat_t
	if path == "" {
		return 0, errors.New("empty cgroup path")
	}
	if err := syscall.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

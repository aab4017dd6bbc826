#!/usr/bin/env bash
# Runs a command in a root directory that root.sh has made, as root, with this machine's /proc, /sys,
# /dev, mounts of cgroup v2, network and processes. What the command writes in the root is in memory,
# and vanishes with the command, as do the mounts.
#
# Usage: enter.sh ROOT [DIRECTORY...] -- COMMAND...
# Each DIRECTORY of this machine is at the same place in the root, and writable.
set -euo pipefail

lower=$1
shift
directories=()
while [ "$1" != -- ]; do
	directories+=("$1")
	shift
done
shift

# An empty directory beside the roots, on which each caller mounts its own file system.
work=$(dirname "$lower")/mnt

if [ -z "${AGENTSH_ENTERED:-}" ]; then
	mkdir -p "$work"
	exec env AGENTSH_ENTERED=1 unshare --mount --propagation private --fork --kill-child \
		"$0" "$lower" "${directories[@]}" -- "$@"
fi

# Only this process and its children see the mounts.
mount -t tmpfs -o mode=0755 agentsh-root "$work"
mkdir "$work/upper" "$work/work" "$work/root"
root=$work/root
# xino: stat(2) shows the device of the root for all files, as without an overlay.
mount -t overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work,xino=on" agentsh-root "$root"
mapfile -t cgroups < <(findmnt -rno TARGET -t cgroup2)
for directory in /proc /sys /dev "${cgroups[@]}" "${directories[@]}"; do
	mkdir -p "$root$directory"
	mountpoint -q "$root$directory" || mount --rbind "$directory" "$root$directory"
done
rm -f "$root/etc/resolv.conf"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Unlike chroot, this lets the command make user namespaces.
cd "$root"
mkdir .outside
pivot_root . .outside
umount --lazy /.outside
rmdir /.outside
cd /
exec /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"

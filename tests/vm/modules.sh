#!/usr/bin/env bash
# Packs the kernel modules that the live tests use, in the order in which init loads
# them. A kernel that lacks a module, or has it built in, is left without it.
# Usage: modules.sh TREE OUTPUT
#   TREE    directory that packages.sh has printed
set -euo pipefail

tree=$1 output=$2

# Each module stands after those that it needs.
modules=(
	crc32c_generic libcrc32c udp_tunnel ip6_udp_tunnel tunnel4 tunnel6
	veth inet_diag tcp_diag dccp dccp_ipv4 dccp_ipv6 l2tp_core l2tp_ip l2tp_ip6 sctp ib_core smc rds
	rds_tcp tipc kcm vsock vmw_vsock_virtio_transport_common vsock_loopback overlay
)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage" # the guest's root directory: other users pass through it
mkdir "$stage/modules"
for i in "${!modules[@]}"; do
	file=$(find "$tree" -name "${modules[i]}.ko*" -type f -print -quit)
	to=$stage/modules/$(printf %02d "$i")-${modules[i]}.ko
	case $file in
	'') ;;
	*.xz) xz -dc "$file" >"$to" ;;
	*) cp "$file" "$to" ;;
	esac
done
(cd "$stage" && find . -print0 | LC_ALL=C sort -z |
	cpio --quiet --null --create --format newc --owner 0:0) >"$output.new"
mv "$output.new" "$output"

#!/usr/bin/env bash
# Makes the root directory of a minimal Debian system, with the packages given, from the mirror that
# this machine uses, and prints its path. The directory is kept in the cache and must not be changed:
# tests/packages/enter.sh runs a command in it and discards what the command writes.
#
# Usage: root.sh SUITE [PACKAGE... [-- PACKAGE...]...]
# The packages after "--" are added to the root of the words before it, which is made first.
# Nothing in the cache is fetched again: remove $AGENTSH_ROOTS_CACHE to get newer packages.
set -euo pipefail

# shellcheck source=tests/vm/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/apt.sh"

suite=$1
shift

cache=${AGENTSH_ROOTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/agentsh-ebpf-roots}
lower=() packages=()
for word; do
	if [ "$word" = -- ]; then
		lower+=(${lower[@]:+--} "${packages[@]}")
		packages=()
	else
		packages+=("$word")
	fi
done

target=$cache/$suite
[ $# -eq 0 ] || target+=-$(printf '%s\n' "$@" | cksum | cut -d' ' -f1)
if [ -d "$target" ]; then
	echo "$target"
	exit 0
fi

[ "$(id -u)" -eq 0 ] || {
	echo "$0: needs root" >&2
	exit 1
}
apt_check mmdebstrap

base=
[ $# -eq 0 ] || base=$("$0" "$suite" "${lower[@]}")

# Another run may make the same root.
mkdir -p "$cache"
exec 9>"$cache/lock-$suite"
flock 9
if [ -d "$target" ]; then
	echo "$target"
	exit 0
fi

work=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT # never what is mounted there

# What this machine needs to reach its mirror is needed in the root, too.
apt-config dump --no-empty --format '%f "%v";%n' Acquire::http Acquire::https Acquire::Retries \
	Acquire::Check-Valid-Until Acquire::Check-Date >"$work/apt.conf"
echo 'Acquire::Languages "none";' >>"$work/apt.conf"

# bootstrap: a system of Debian's essential packages and apt, in $work/root
bootstrap() {
	local mirror
	for mirror in $(apt_mirrors); do
		rm -rf "$work/root"
		mmdebstrap --mode=root --variant=minbase --format=directory --keyring="$apt_keyring" \
			--aptopt="$work/apt.conf" --skip=cleanup/apt/lists --quiet \
			"$suite" "$work/root" "deb [signed-by=$apt_keyring] $mirror $suite main" >&2 && return 0
	done
	echo "$0: none of this machine's Debian mirrors has $suite" >&2
	return 1
}

if [ -z "$base" ]; then
	bootstrap
else
	cp -a "$base" "$work/root"
	cp /etc/resolv.conf "$work/root/etc/resolv.conf"
	DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$work/root" \
		apt-get -y -qq -o APT::Sandbox::User=root install --no-install-recommends \
		"${packages[@]}" >"$work/log" 2>&1 || {
		tail -n 40 "$work/log" >&2
		exit 1
	}
	rm -f "$work/root"/var/cache/apt/archives/*.deb
fi
# rename only a complete one
mv "$work/root" "$target"
echo "$target"

#!/usr/bin/env bash
# Fetches Debian packages without installing them, through apt.sh.
#
# Usage: packages.sh SUITE ARCH PACKAGE...
# Unpacks the packages (of linux-image-*, also the linux-* packages that they depend on) and prints
# the directory. Nothing in the cache is fetched again: remove $AGENTSH_VM_CACHE to get newer
# packages.
set -euo pipefail

# shellcheck source=tests/vm/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

suite=$1 arch=$2
shift 2

cache=${AGENTSH_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/agentsh-ebpf-vm}
target=$cache/$suite-$arch-$(printf '%s\n' "$@" | cksum | cut -d' ' -f1)

if [ -d "$target" ]; then
	echo "$target"
	exit 0
fi

apt_check dpkg-deb

# Another run may fetch at the same time.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -d "$target" ]; then
	echo "$target"
	exit 0
fi

root=$cache/apt-$suite-$arch
apt_root "$root" deb "$suite" "$arch"
work=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/deb" "$work/root"

closure() {
	apt-cache "${apt[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts \
		--no-breaks --no-replaces --no-enhances "$@" |
		sed -n 's/^\(linux-[a-z0-9][^ <>]*\)$/\1/p' | sed 's/:.*//' | sort -u
}

packages=()
for package; do
	case $package in
	linux-image-*) mapfile -t -O ${#packages[@]} packages < <(closure "$package") ;;
	*) packages+=("$package") ;;
	esac
done
echo "fetching from $suite: ${packages[*]}" >&2
(cd "$work/deb" && apt-get "${apt[@]}" -qq download "${packages[@]}") >&2
for deb in "$work"/deb/*.deb; do
	dpkg-deb -x "$deb" "$work/root"
done
# Absolute links, as to /lib, must lead into this directory.
while IFS= read -r -d '' link; do
	ln -srnf "$work/root$(readlink "$link")" "$link"
done < <(find "$work/root" -lname '/*' -print0)
mv "$work/root" "$target"
rm -rf "$root"
echo "$target"

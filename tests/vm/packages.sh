#!/usr/bin/env bash
# Fetches Debian packages without installing them. apt does it in a root directory of its own, so
# that signatures are checked and the machine's apt is not affected. The packages come from the
# mirror that the machine uses.
#
# Usage: packages.sh SUITE ARCH PACKAGE...
# Unpacks the packages (of linux-image-*, also the linux-* packages that they depend on) and prints
# the directory. Nothing in the cache is fetched again: remove $AGENTSH_VM_CACHE to get newer
# packages.
set -euo pipefail

suite=$1 arch=$2
shift 2

cache=${AGENTSH_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/agentsh-ebpf-vm}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
target=$cache/$suite-$arch-$(printf '%s\n' "$@" | cksum | cut -d' ' -f1)

if [ -d "$target" ]; then
	echo "$target"
	exit 0
fi

for needed in apt-get dpkg-deb; do
	command -v "$needed" >/dev/null || {
		echo "$0: needs $needed, so a machine with Debian's package tools" >&2
		exit 1
	}
done
[ -r "$keyring" ] || {
	echo "$0: needs $keyring: install debian-archive-keyring" >&2
	exit 1
}

# The mirrors that this machine uses. apt knows the origin of a mirror only if it has an index of it;
# without an index, all mirrors are tried, and the signature decides.
mirrors() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(IDENTIFIER) $(REPO_URI) $(ORIGIN) $(RELEASE)' |
		awk '$1 == "Packages" && $3 ~ /^(Debian|\$\(ORIGIN\))$/ && $4 !~ /security/ { print $2 }' |
		sort -u
}

# Another run may fetch at the same time.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -d "$target" ]; then
	echo "$target"
	exit 0
fi

root=$cache/apt-$suite-$arch
work=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial" "$work/deb" "$work/root"
: >"$root/state/status"
apt=(-o "Dir::State=$root/state" -o "Dir::State::status=$root/state/status"
	-o "Dir::Cache=$root/cache" -o "Dir::Etc::sourcelist=$root/sources.list"
	-o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
	-o Acquire::Languages=none -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch"
	-o APT::Sandbox::User=root)

found=
for mirror in $(mirrors); do
	echo "deb [signed-by=$keyring] $mirror $suite main" >"$root/sources.list"
	if apt-get "${apt[@]}" -qq -o APT::Update::Error-Mode=any update >&2; then
		found=$mirror
		break
	fi
done
[ -n "$found" ] || {
	echo "$0: none of this machine's Debian mirrors has $suite" >&2
	exit 1
}

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

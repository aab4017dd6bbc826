# shellcheck shell=bash
# Makes apt fetch from a Debian release in a root directory of its own, so that signatures are checked
# and the machine's apt is not affected. The packages come from the mirror that the machine uses.
# Sourced by packages.sh, tests/musl/libraries.sh and tests/packages/root.sh.

apt_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# apt_check TOOL...: fails if this machine lacks what fetching needs
apt_check() {
	local needed
	for needed in apt-get "$@"; do
		command -v "$needed" >/dev/null || {
			echo "$0: needs $needed, so a machine with Debian's package tools" >&2
			return 1
		}
	done
	[ -r "$apt_keyring" ] || {
		echo "$0: needs $apt_keyring: install debian-archive-keyring" >&2
		return 1
	}
}

# The mirrors that this machine uses. apt knows the origin of a mirror only if it has an index of it;
# without an index, all mirrors are tried, and the signature decides.
apt_mirrors() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(IDENTIFIER) $(REPO_URI) $(ORIGIN) $(RELEASE)' |
		awk '$1 == "Packages" && $3 ~ /^(Debian|\$\(ORIGIN\))$/ && $4 !~ /security/ { print $2 }' |
		sort -u
}

# apt_root DIRECTORY TYPE SUITE ARCH: fetches the index of a release. TYPE is deb or deb-src. Sets the
# array apt to the options with which apt-get and apt-cache use it.
apt_root() {
	local root=$1 type=$2 suite=$3 arch=$4 mirror
	mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial"
	: >"$root/state/status"
	apt=(-o "Dir::State=$root/state" -o "Dir::State::status=$root/state/status"
		-o "Dir::Cache=$root/cache" -o "Dir::Etc::sourcelist=$root/sources.list"
		-o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o Acquire::Languages=none -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch"
		-o APT::Sandbox::User=root)
	for mirror in $(apt_mirrors); do
		echo "$type [signed-by=$apt_keyring] $mirror $suite main" >"$root/sources.list"
		if apt-get "${apt[@]}" -qq -o APT::Update::Error-Mode=any update >&2; then
			return 0
		fi
	done
	echo "$0: none of this machine's Debian mirrors has $suite" >&2
	return 1
}

#!/usr/bin/env bash
# Installs the missing packages for building (build), for building and testing (test), for the
# stages that only the full run has (full: musl, packages, other languages), for the tests in virtual
# machines (vm), or for the tests in virtual machines of arm64 (vm-arm64). If nothing is missing, it
# asks no package manager and needs no root.
set -euo pipefail

what=${1:-}
case $what in
build | test | full | vm | vm-arm64) ;;
*)
	echo "usage: $0 build|test|full|vm|vm-arm64" >&2
	exit 2
	;;
esac

# "gen object" came with bpftool 5.13. Ubuntu's /usr/sbin/bpftool is a wrapper that only looks
# for the bpftool of the running kernel.
have_bpftool() {
	local tool
	for tool in /usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool \
		/usr/sbin/bpftool "$(command -v bpftool || true)"; do
		if [ -n "$tool" ] && [ -x "$tool" ] && "$tool" gen help 2>&1 | grep -q 'gen object'; then
			return 0
		fi
	done
	return 1
}

# Whether there is a Go that is new enough for examples/go. The package of Debian 12 is too old;
# tests/go/run.sh is then left out.
have_go() {
	local go
	for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
		if [ -x "$go" ] && [[ $("$go" env GOVERSION) =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 23 ]; then
			return 0
		fi
	done
	return 1
}

# Per line: who needs it, the command or other check (see have), and its package for apt, dnf and
# pacman, or "-" if there is none.
table='
build cmake            cmake             cmake          cmake
build ninja            ninja-build       ninja-build    ninja
build cc               gcc               gcc            gcc
build pkg-config       pkg-config        pkgconf        pkgconf
build clang            clang             clang          clang
build bpftool          BPFTOOL           bpftool        bpf
build pc:libbpf        libbpf-dev        libbpf-devel   libbpf
build pc:libelf        libelf-dev        elfutils-libelf-devel libelf
build pc:zlib          zlib1g-dev        zlib-devel     zlib
build h:linux/bpf.h    linux-libc-dev    kernel-headers linux-api-headers
build h:stdlib.h       libc6-dev         glibc-devel    glibc
build curl             curl              curl           curl
test  pc:check         check             check-devel    check
test  sanitizer:thread libclang-rt-dev   compiler-rt    compiler-rt
test  scdoc            scdoc             scdoc          scdoc
test  gcc              gcc               gcc            gcc
test  g++              g++               gcc-c++        gcc
test  clang++          clang             clang          clang
test  clang-format     clang-format     clang-tools-extra clang
test  clang-tidy       clang-tidy        clang-tools-extra clang
test  cppcheck         cppcheck          cppcheck       cppcheck
test  valgrind         valgrind          valgrind       valgrind
test  python3          python3           python3        python
test  abidw            abigail-tools     libabigail     libabigail
test  nm               binutils          binutils       binutils
test  ps               procps            procps-ng      procps-ng
test  setpriv          util-linux        util-linux     util-linux
test  shellcheck       shellcheck        ShellCheck     shellcheck
test  nft              nftables          nftables       nftables
test  spin             spin              spin           spin
test  dnsmasq          dnsmasq-base      dnsmasq        dnsmasq
full  musl-gcc         musl-tools        musl-gcc       musl
full  unbound          unbound           unbound        unbound
full  dpkg-source      dpkg-dev          dpkg-dev       dpkg
full  make             make              make           make
full  file             file              file           file
full  rsyslogd         rsyslog           rsyslog        -
full  mmdebstrap       mmdebstrap        mmdebstrap     -
full  lintian          lintian           lintian        -
full  rpmlint          rpmlint           rpmlint        -
full  rpm              rpm               rpm            rpm-tools
full  cargo            cargo             cargo          rust
full  rustc            rustc             rust           rust
full  GO               golang-go         golang         go
vm    qemu-system-x86_64 qemu-system-x86 qemu-system-x86-core qemu-system-x86
vm    busybox          busybox-static    busybox        busybox
vm    cpio             cpio              cpio           cpio
vm    xz               xz-utils          xz             xz
vm-arm64 qemu-system-aarch64 qemu-system-arm qemu-system-aarch64-core qemu-system-aarch64
vm-arm64 aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
'

have() {
	case $1 in
	pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
	h:*) echo "#include <${1#h:}>" | cc -E -x c - >/dev/null 2>&1 ;;
	sanitizer:*)
		echo 'int main(void) { return 0; }' |
			clang "-fsanitize=${1#sanitizer:}" -x c -o /dev/null - >/dev/null 2>&1
		;;
	bpftool) have_bpftool ;;
	GO) have_go || [ -x /usr/bin/go ] ;; # an older package is not installed again
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

missing_apt=() missing_dnf=() missing_pacman=()
while read -r class check apt dnf pacman; do
	[ -n "$class" ] || continue
	case $what:$class in
	build:build | test:build | test:test | full:full | vm-arm64:*) ;;
	vm:build | vm:test | vm:vm) ;;
	*) continue ;;
	esac
	have "$check" && continue
	[ "$apt" = - ] || missing_apt+=("$apt")
	[ "$dnf" = - ] || missing_dnf+=("$dnf")
	[ "$pacman" = - ] || missing_pacman+=("$pacman")
done <<<"$table"
[ ${#missing_apt[@]} -gt 0 ] || exit 0

root_for() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "$0: missing packages, and not root to install them: $*" >&2
		exit 1
	fi
}

if command -v apt-get >/dev/null; then
	bpftool=(bpftool)
	# shellcheck source=/dev/null
	if (. /etc/os-release && [ "${ID:-}" = ubuntu ]); then
		bpftool=(linux-tools-common linux-tools-generic)
	fi
	packages=()
	for package in "${missing_apt[@]}"; do
		if [ "$package" = BPFTOOL ]; then
			packages+=("${bpftool[@]}")
		else
			packages+=("$package")
		fi
	done
	root_for "${packages[@]}"
	echo "installing: ${packages[*]}" >&2
	apt-get update -qq >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		"${packages[@]}" >/dev/null # errors come on stderr
elif command -v dnf >/dev/null; then # not tested
	root_for "${missing_dnf[@]}"
	dnf install -y "${missing_dnf[@]}" >&2
elif command -v pacman >/dev/null; then # not tested
	root_for "${missing_pacman[@]}"
	pacman -S --needed --noconfirm "${missing_pacman[@]}" >&2
else
	echo "$0: no apt-get, dnf or pacman; install by hand: ${missing_apt[*]}" >&2
	exit 1
fi

if ! have clang || ! have bpftool; then
	echo "$0: clang or bpftool are still missing after the installation" >&2
	exit 1
fi

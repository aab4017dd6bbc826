#!/usr/bin/env bash
# Builds zlib, libelf, libbpf and check as static libraries for musl, from Debian's source packages,
# and prints the directory in which they are: include/, lib/ and lib/pkgconfig/. include/ also has
# links to the kernel's headers of this machine, which musl does not bring.
#
# Usage: tests/musl/libraries.sh
# AGENTSH_MUSL_CACHE  where the libraries are kept (default: ~/.cache/agentsh-ebpf-musl). Nothing in
#                     it is built again: remove the directory to get newer sources.
# AGENTSH_MUSL_SUITE  the Debian release of the sources (default: this machine's, or bookworm if the
#                     machine runs no Debian)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/apt.sh
. "$here/../vm/apt.sh"

suite=${AGENTSH_MUSL_SUITE:-}
if [ -z "$suite" ]; then
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}") || true
fi
suite=${suite:-bookworm}
machine=$(musl-gcc -dumpmachine)
multiarch=$(musl-gcc -print-multiarch)

# The name changes with all that decides what is built, apart from Debian's own updates.
cache=${AGENTSH_MUSL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/agentsh-ebpf-musl}
key=$({
	cat "$here/libraries.sh" "$here/elfutils-config.h"
	musl-gcc --version
	cksum <"$(musl-gcc -print-file-name=libc.a)"
} | cksum | cut -d' ' -f1)
target=$cache/$suite-${machine%%-*}-$key

if [ -d "$target" ]; then
	echo "$target"
	exit 0
fi

apt_check dpkg-source make

# Another run may build at the same time.
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -d "$target" ]; then
	echo "$target"
	exit 0
fi

work=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
mkdir -p "$work/source" "$prefix/include" "$prefix/lib/pkgconfig"

echo "fetching from $suite: the sources of zlib, elfutils, libbpf and check" >&2
# shellcheck disable=SC2154 # apt_root assigns apt
{
	apt_root "$work/apt" deb-src "$suite" "$(dpkg --print-architecture)"
	cd "$work/source"
	apt-get "${apt[@]}" -qq --download-only source zlib elfutils libbpf check >&2
}
for description in *.dsc; do
	echo "${description%.dsc}" >>"$prefix/sources"
	# apt has compared the files with the signed index.
	dpkg-source --no-check --extract "$description" "${description%%_*}" >/dev/null
done

for headers in linux asm-generic "$multiarch/asm"; do
	ln -s "/usr/include/$headers" "$prefix/include/${headers##*/}"
done

export CC=musl-gcc AR=ar RANLIB=ranlib
# Position independent, so that the libraries can become part of any program.
flags=(-O2 -g -fPIC -isystem "$prefix/include")

# quietly NAME COMMAND...: shows what the command has printed if it fails
quietly() {
	local log=$work/$1.log
	shift
	if ! "$@" >>"$log" 2>&1; then
		tail -n 60 "$log" >&2
		echo "$0: failed: $*" >&2
		return 1
	fi
}

make_quietly() { # NAME ARGUMENT...
	quietly "${1%%/*}" make -C "$work/source/$1" -j "$(nproc)" "${@:2}"
}

package_file() { # NAME VERSION LIBS
	cat >"$prefix/lib/pkgconfig/$1.pc" <<-END
		prefix=$prefix
		libdir=\${prefix}/lib
		includedir=\${prefix}/include

		Name: $1
		Description: $1, built for musl
		Version: $2
		Cflags: -I\${includedir}
		Libs: -L\${libdir} $3
	END
}

# version_of PACKAGE: without Debian's parts
version_of() {
	sed -nE "s/^$1_([0-9.]*[0-9]).*/\\1/p" "$prefix/sources"
}

build_zlib() {
	cd "$work/source/zlib"
	CFLAGS="${flags[*]}" quietly zlib ./configure --static --prefix="$prefix"
	make_quietly zlib libz.a
	make_quietly zlib install
}

# Only libelf: its own sources, and what these need of the common part.
build_elfutils() {
	local source=$work/source/elfutils objects=$work/elfutils sources
	sources=("$source"/libelf/*.c)
	[ ! -e "$source/lib/eu-search.c" ] || sources+=("$source/lib/eu-search.c")
	mkdir "$objects"
	cp "$here/elfutils-config.h" "$objects/config.h"
	cd "$objects"
	printf '%s\0' "${sources[@]}" | quietly elfutils xargs -0 -P "$(nproc)" -n 16 musl-gcc \
		"${flags[@]}" -std=gnu99 -D_GNU_SOURCE -DHAVE_CONFIG_H \
		-I. -I"$source/libelf" -I"$source/lib" -c
	ar rcs "$prefix/lib/libelf.a" ./*.o
	cp "$source"/libelf/{libelf,gelf,nlist}.h "$prefix/include"
	package_file libelf "$(version_of elfutils)" '-lelf -lz'
}

build_libbpf() {
	make_quietly libbpf/src BUILD_STATIC_ONLY=1 NO_PKG_CONFIG=1 CFLAGS="${flags[*]}" \
		PREFIX="$prefix" LIBDIR="$prefix/lib" install
}

build_check() {
	cd "$work/source/check"
	CFLAGS="${flags[*]}" quietly check ./configure --host="${machine%%-*}-linux-musl" --prefix="$prefix" \
		--disable-shared --disable-subunit --disable-timeout-tests
	make_quietly check/lib
	make_quietly check/src install
	cp check_stdint.h "$prefix/include"
	package_file check "$(version_of check)" -lcheck
}

build_zlib
build_elfutils
build_libbpf
build_check

# The directory is moved below, and may be copied.
sed -i "s|$prefix|\${pcfiledir}/../..|" "$prefix"/lib/pkgconfig/*.pc
for library in z elf bpf check; do
	[ -s "$prefix/lib/lib$library.a" ] || {
		echo "$0: lib$library.a was not built" >&2
		exit 1
	}
done
mv "$prefix" "$target"
echo "$target"

#!/usr/bin/env bash
# Checks the soname, the needed libraries, the versions of glibc and the hardening of the library.
# Usage: elf.sh LIBRARY SOVERSION [LIBBPF-IS-STATIC]
set -euo pipefail

library=$1
soversion=$2
static_libbpf=${3:-OFF}
export LC_ALL=C
failed=0

complain() {
	echo "elf.sh: $library: $*" >&2
	failed=1
}

dynamic=$(readelf -dW "$library")
segments=$(readelf -lW "$library")
soname=$(sed -nE 's/.*\(SONAME\).*\[(.*)\]/\1/p' <<<"$dynamic")

[ "$soname" = "libagentsh-ebpf.so.$soversion" ] || complain "soname $soname"
grep -q TEXTREL <<<"$dynamic" && complain "has text relocations"
grep -qE '\((RPATH|RUNPATH)\)' <<<"$dynamic" && [ -n "${INSTALLED:-}" ] && complain "has a search path"
grep -qE 'BIND_NOW|FLAGS_1.*NOW' <<<"$dynamic" || complain "is bound lazily"
grep -q GNU_RELRO <<<"$segments" || complain "has no RELRO segment"
grep -qE 'GNU_STACK.* RWE ' <<<"$segments" && complain "wants an executable stack"
grep -qE 'LOAD.* RWE ' <<<"$segments" && complain "has a writable and executable segment"

while read -r needed; do
	case $needed in
	libc.so.* | ld-linux*.so.* | libpthread.so.* | libc.musl-*) ;;
	libbpf.so.1) [ "$static_libbpf" = OFF ] || complain "needs $needed, although libbpf is linked statically" ;;
	libelf.so.* | libz.so.* | libzstd.so.*)
		[ "$static_libbpf" = ON ] || complain "needs $needed" ;;
	*) complain "needs $needed" ;;
	esac
done < <(sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p' <<<"$dynamic")

# The functions that moved between the libraries of glibc have the version 2.34 on newer systems,
# and nothing else is newer. A libbpf inside may need more.
if [ "$static_libbpf" = OFF ]; then
	while read -r version; do
		[ "$(printf '%s\n' "$version" 2.34 | sort -V | tail -n 1)" = 2.34 ] || complain "needs GLIBC_$version"
	done < <(readelf -W --version-info "$library" | sed -nE 's/.*Name: GLIBC_([0-9.]+) .*/\1/p' | sort -u)
fi
exit $failed

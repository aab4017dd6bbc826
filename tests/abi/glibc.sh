#!/usr/bin/env bash
# Checks that the static library and agentsh-trace need nothing of the C library that glibc 2.31
# lacks.
#
# An archive refers to names without versions. A name is new if the version in which glibc
# has it first is above 2.31. Functions that moved between the libraries of glibc in 2.33
# and 2.34 (pthread_create, dlsym) pass: glibc has them under an old version, too. fstat and
# its kin pass: before 2.33 they were in libc_nonshared.a, which every program links.
# Functions that read numbers are refused under their old names as well, because the headers
# of glibc 2.38 and later turn these into new names (__isoc23_strtoul).
#
# Usage: glibc.sh CC ARCHIVE PROGRAM|- [OTHER-LIBRARY...]
#   OTHER-LIBRARY: a shared library or archive that defines the other names of ARCHIVE
set -euo pipefail

cc=$1
archive=$2
program=$3
shift 3
export LC_ALL=C
oldest=2.31

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
	echo "glibc.sh: $*" >&2
	failed=1
}

# above VERSION VERSION: whether the first one is greater
above() {
	[ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]
}

undefined() {
	nm -u "$1" | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' | sort -u
}

# too_new FILE: prints the names that are too new
too_new() {
	undefined "$1" >"$work/undefined"
	grep -E '^(__isoc[0-9]*_)?(v?[fsw]*scanf|(str|wcs)to(l|ul|ll|ull|q|uq|imax|umax)(_l)?|ato(i|l|ll))$' "$work/undefined" || true
	join "$work/undefined" "$work/first" | while read -r name version; do
		case $name in
		__isoc23_* | stat | fstat | lstat | fstatat | stat64 | fstat64 | lstat64 | fstatat64 | mknod | mknodat) continue ;;
		esac
		! above "$version" $oldest || echo "$name (GLIBC_$version)"
	done
}

# Each name of glibc with its first version
for name in libc.so.6 libpthread.so.0 libm.so.6 libdl.so.2 ld-linux-x86-64.so.2 ld-linux-aarch64.so.1; do
	file=$("$cc" -print-file-name=$name)
	if [ "$file" != $name ]; then
		readelf -W --dyn-syms "$file"
	fi
done | sed -nE 's/.* ([A-Za-z0-9_]+)@@?GLIBC_([0-9.]+)( .*)?$/\1 \2/p' | sort -k1,1 -k2,2V |
	awk '$1 != last { print } { last = $1 }' >"$work/first"
if ! grep -q '^printf ' "$work/first"; then
	echo "glibc.sh: skipped: $cc has no glibc"
	exit 77
fi

new=$(too_new "$archive")
[ -z "$new" ] || complain "$archive needs what glibc $oldest lacks: $new"

# Every other name must be known, or a new one of a newer glibc passes by chance.
for other; do
	nm --defined-only -D "$other" 2>/dev/null || true
	nm --defined-only "$other" 2>/dev/null || true
done | sed -nE 's/.* [A-Z] ([A-Za-z0-9_]+)(@.*)?$/\1/p' >"$work/others"
cut -d' ' -f1 "$work/first" >>"$work/others"
sort -u -o "$work/others" "$work/others"
undefined "$archive" | comm -23 - "$work/others" | grep -v '^_GLOBAL_OFFSET_TABLE_$' >"$work/unknown" || true
[ ! -s "$work/unknown" ] || complain "$archive needs unknown names: $(tr '\n' ' ' <"$work/unknown")"

if [ "$program" != - ]; then
	new=$(too_new "$program")
	[ -z "$new" ] || complain "$program needs what glibc $oldest lacks: $new"
fi

# The checks must find a name that is too new.
new='__isoc23_sscanf __isoc99_sscanf strtoul'
if grep -q '^arc4random ' "$work/first"; then
	new+=' arc4random' # of 2.36
fi
for name in $new; do
	echo "int $name(void); int f(void) { return $name(); }" | "$cc" -w -fno-builtin -x c -c - -o "$work/new.o"
	[ "$(too_new "$work/new.o" | wc -l)" -eq 1 ] || complain "the check does not find $name"
done
exit $failed

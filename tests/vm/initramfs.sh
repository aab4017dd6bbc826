#!/usr/bin/env bash
# Packs the guest's file system: the library and the command as installed, the live tests, the
# shared libraries that they need, busybox, and init.
# Usage: initramfs.sh BUILD_DIR OUTPUT
# For another architecture than that of this machine: SYSROOT=DIR has the shared libraries,
# BUSYBOX=FILE is a busybox for it, READELF and STRIP are the tools.
# EXTRA=DIR has further files, such as programs of another build.
set -euo pipefail

build=$1 output=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sysroot=${SYSROOT:-}
busybox=${BUSYBOX:-$(command -v busybox)}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage" # the guest's root directory: other users pass through it
mkdir -p "$stage/bin" "$stage/tests"

# Installed as by a user, less what does not run.
DESTDIR=$stage cmake --install "$build" --prefix /usr >/dev/null
rm -rf "${stage:?}"/usr/include "${stage:?}"/usr/share "${stage:?}"/usr/lib/*.a

cp "$busybox" "$stage/bin/busybox"
cp "$build"/tests/live/test-live-* "$stage/tests/"
[ -z "${EXTRA:-}" ] || cp -R "$EXTRA/." "$stage/"
"${STRIP:-strip}" --strip-debug "$stage"/tests/* "$stage"/usr/bin/*
install -m 755 "$here/init" "$stage/init"

needed() {
	LC_ALL=C "${READELF:-readelf}" -d -l "$1" 2>/dev/null |
		sed -n -e 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' -e 's/.*program interpreter: \(.*\)\]$/\1/p'
}

# Prints the path of a library below the sysroot. The name may be a path already.
find_library() {
	local name=$1 dir
	case $name in
	/*)
		echo "$name"
		return
		;;
	esac
	for dir in "$sysroot"{/lib/*-linux-gnu,/usr/lib/*-linux-gnu,/lib64,/usr/lib64,/lib,/usr/lib}; do
		if [ -e "$dir/$name" ]; then
			echo "${dir#"$sysroot"}/$name"
			return
		fi
	done
	echo "$0: no $name in ${sysroot:-this system}, which $2 needs" >&2
	return 1
}

# Copies the shared libraries of a program, and those that these need. ldd is of no use, because it
# runs the program's loader, which is missing for another architecture.
take_libraries() {
	local name path
	while read -r name; do
		if [ -e "$stage/usr/lib/$name" ] || [ -e "$stage$name" ]; then
			continue
		fi
		path=$(find_library "$name" "$1")
		case $name in
		/*) install -D -m 755 "$sysroot$path" "$stage$name" ;;
		*) install -D -m 755 "$sysroot$path" "$stage/usr/lib/$name" ;;
		esac
		take_libraries "$stage/usr/lib/$name"
	done < <(needed "$1")
}

while IFS= read -r -d '' program; do
	take_libraries "$program"
done < <(find "$stage/usr" "$stage/tests" "$stage/bin" -type f -print0)

# The loader looks in /lib and /usr/lib everywhere.
[ -e "$stage/lib" ] || ln -s usr/lib "$stage/lib"

# Not compressed, because an emulated processor unpacks more slowly than it copies.
(cd "$stage" && find . -print0 | LC_ALL=C sort -z |
	cpio --quiet --null --create --format newc --owner 0:0) >"$output.new"
mv "$output.new" "$output"

#!/usr/bin/env bash
# Makes the source archive, builds from it with the few commands that this needs, and uses the
# result. Checks that another build in another directory gives the same bytes of the archive and
# of the libraries.
# Usage: dist.sh SOURCE-DIRECTORY BUILD-DIRECTORY CC; exit status 77: skipped, no list of files
set -euo pipefail
unset DESTDIR PKG_CONFIG_PATH LD_LIBRARY_PATH

source=$1
build=$2
cc=$3

if ! { [ -e "$source/.git" ] && command -v git >/dev/null; } && [ ! -e "$source/MANIFEST" ]; then
	echo "skipped: without git or the file MANIFEST, the list of the source files is unknown"
	exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "dist.sh: $*" >&2
	exit 1
}

# run COMMAND...: runs a command and shows its output only if it fails
run() {
	"$@" >"$work/log" 2>&1 || {
		tail -n 60 "$work/log" >&2
		fail "failed: $*"
	}
}

rm -f "$build"/agentsh-ebpf-*.tar.gz # also those of other versions
run cmake --build "$build" --target dist
archive=$(find "$build" -maxdepth 1 -name 'agentsh-ebpf-*.tar.gz')
version=$(sed -nE 's/^#define AGENTSH_EBPF_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' \
	"$source/include/agentsh/ebpf.h" | paste -sd .)
[ "${archive##*/}" = "agentsh-ebpf-$version.tar.gz" ] || fail "made '$archive'"
name=agentsh-ebpf-$version

tar -tzf "$archive" >"$work/names"
! grep -vE "^$name/" "$work/names" || fail "names outside $name/"
grep -E "^$name/(build|\.git)(/|$)" "$work/names" && fail "files that do not belong to the source"
mkdir -p "$work/one" "$work/other/deeper"
tar -xzf "$archive" -C "$work/one"
tar -xzf "$archive" -C "$work/other/deeper"
one=$work/one/$name
other=$work/other/deeper/$name
(cd "$one" && find . -type f -o -type l) | sed 's,^\./,,' | grep -vxF MANIFEST | LC_ALL=C sort |
	diff - "$one/MANIFEST" || fail "MANIFEST is not the list of files"

# The build finds these commands and no others.
mkdir "$work/bin"
for command in sh cmake make pkg-config ld as ar ranlib nm objcopy objdump strip readelf; do
	ln -s "$(command -v $command)" "$work/bin/$command"
done
ln -s "$(command -v "$cc")" "$work/bin/cc"
# Makefiles of CMake call nothing but cmake. find_program() looks in /usr/bin, too.
few() {
	env -i PATH="$work/bin" HOME="$work" "$@"
}
for absent in clang bpftool git; do
	! few sh -c "command -v $absent" || fail "$absent is in the PATH of the build"
done
configure=(-G "Unix Makefiles" -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF)
run few CC="$work/bin/cc" cmake -S "$one" -B "$work/one/build" "${configure[@]}" -DCMAKE_INSTALL_PREFIX="$work/root" \
	-DCMAKE_INSTALL_LIBDIR=lib
run few cmake --build "$work/one/build" --parallel 2
run few cmake --install "$work/one/build"
grep -E '^AGENTSH_(CLANG|BPFTOOL):' "$work/one/build/CMakeCache.txt" && fail "the build looks for clang or bpftool"

# The program in the README
cp "$one/examples/minimal.c" "$work"
for package in agentsh-ebpf agentsh-ebpf-static; do
	read -r -a flags <<<"$(PKG_CONFIG_PATH=$work/root/lib/pkgconfig pkg-config --cflags --libs $package)"
	run "$cc" "$work/minimal.c" -o "$work/minimal" "${flags[@]}"
	# Without a cgroup it says what is wrong.
	! LD_LIBRARY_PATH=$work/root/lib "$work/minimal" >"$work/out" 2>&1 || fail "minimal succeeds"
	[ "$(wc -l <"$work/out")" -eq 1 ] || fail "minimal prints $(cat "$work/out")"
done
grep -q . <("$work/root/bin/agentsh-trace" --version) || fail "agentsh-trace --version prints nothing"

# The same bytes from another directory, of another depth, with a build inside the source, and with a
# compiler that is called through another program, as by CC="ccache gcc"
run few CC="$(command -v env) $work/bin/cc" cmake -S "$other" -B "$other/build" "${configure[@]}" -DAGENTSH_EBPF_EXAMPLES=OFF
run few cmake --build "$other/build" --parallel 2
for file in "libagentsh-ebpf.so.$version" libagentsh-ebpf.a; do
	cmp "$work/one/build/lib/$file" "$other/build/lib/$file" || fail "two builds differ in $file"
done
# Sources that were changed are compiled.
echo '/* changed */' >>"$other/bpf/maps.h"
! few cmake -S "$other" -B "$other/build" >"$work/log" 2>&1 || fail "changed programs are not compiled"
grep -q 'clang was not found' "$work/log" || fail "no word of clang: $(tail -n 5 "$work/log")"
cp "$one/bpf/maps.h" "$other/bpf/maps.h"

# The same archive again: from the unpacked one, and with programs that are compiled again
cache() {
	sed -n "s/^$1:[A-Z]*=/-D$1=/p" "$build/CMakeCache.txt"
}
run cmake --build "$work/one/build" --target dist
cmp "$archive" "$work/one/build/$name.tar.gz" || fail "the archive made from the archive differs"
chmod -R go-rwx "$other"
run cmake -S "$other" -B "$other/again" "$(cache AGENTSH_CLANG)" "$(cache AGENTSH_BPFTOOL)" \
	-DAGENTSH_EBPF_REBUILD_PROGRAMS=ON
(umask 077 && run cmake --build "$other/again" --target dist)
[ -s "$other/again/bpf/agentsh.skel.h" ] || fail "AGENTSH_EBPF_REBUILD_PROGRAMS compiles nothing"
cmp "$archive" "$other/again/$name.tar.gz" || fail "the archive made in another directory differs"

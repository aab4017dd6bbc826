#!/usr/bin/env bash
# Builds, installs and uses the library with the shared library only, and as on a machine that
# has only static libraries of libbpf, libelf and zlib. Checks the components of an installation.
# Usage: kinds.sh SOURCE-DIRECTORY BUILD-DIRECTORY CC
#   BUILD-DIRECTORY is a build of both libraries
set -euo pipefail
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$1
both=$2
export CC=$3
unset LD_LIBRARY_PATH PKG_CONFIG_PATH PKG_CONFIG_LIBDIR DESTDIR CPATH LIBRARY_PATH CMAKE_PREFIX_PATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "kinds.sh: $*" >&2
	exit 1
}

run() {
	"$@" >"$work/log" 2>&1 || {
		tail -n 60 "$work/log" >&2
		fail "failed: $*"
	}
}

# refused TEXT OPTION...: cmake must fail and say TEXT
refused() {
	local text=$1
	shift
	! cmake -S "$source" -B "$work/refused" "$@" >"$work/log" 2>&1 || fail "accepts $*"
	tr -s ' \n' ' ' <"$work/log" | grep -F "$text" >/dev/null || fail "$*: no '$text' in: $(cat "$work/log")"
	rm -rf "$work/refused"
}

# build NAME OPTION...: builds everything and installs it in $work/NAME
build() {
	local name=$1
	shift
	run cmake -S "$source" -B "$work/build-$name" -DCMAKE_INSTALL_LIBDIR=lib "$@"
	run cmake --build "$work/build-$name" --parallel 2
	run cmake --install "$work/build-$name" --prefix "$work/$name"
}

# consume NAME PACKAGE|TARGET...: links a host by pkg-config and by CMake
consume() {
	local name=$1 package words targets
	shift
	targets=$(printf '%s;' "$@")
	run cmake -S "$here/consumer" -B "$work/cmake-$name" -DCMAKE_PREFIX_PATH="$work/$name" \
		-DCONSUMER_TARGETS="${targets%;}"
	run cmake --build "$work/cmake-$name"
	for package; do
		run "$work/cmake-$name/with-$package"
		read -r -a words <<<"$(PKG_CONFIG_PATH=$work/$name/lib/pkgconfig pkg-config --cflags --libs "$package")"
		run "$CC" "$here/consumer/consumer.c" -o "$work/host" "${words[@]}"
		LD_LIBRARY_PATH=$work/$name/lib run "$work/host"
	done
}

# needs PROGRAM: prints the libraries that a program names
needs() {
	readelf -dW "$1" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p'
}

refused 'There is nothing to build' -DAGENTSH_EBPF_SHARED=OFF -DAGENTSH_EBPF_STATIC=OFF

build shared -DAGENTSH_EBPF_STATIC=OFF
[ -z "$(find "$work/shared" -name '*.a' -o -name agentsh-ebpf-static.pc)" ] || fail "the archive was installed"
consume shared agentsh-ebpf
run "$work/shared/bin/agentsh-trace" --version

# Only the archives, in a directory where the linker looks first. This libelf needs a zstd.
only=$work/only
mkdir -p "$only/pkgconfig"
for library in libbpf libelf libz; do
	file=$("$CC" -print-file-name=$library.a)
	if [ "$file" = $library.a ]; then
		echo "kinds.sh: left out: a machine with static libraries only: $library.a is not installed"
		only=
		break
	fi
	cp "$file" "$only"
done
if [ "$only" ]; then
	file=$("$CC" -print-file-name=libzstd.a)
	if nm -u "$only/libelf.a" 2>/dev/null | grep ' ZSTD_' >/dev/null; then
		[ "$file" = libzstd.a ] || cp "$file" "$only"
	else
		objcopy --redefine-sym inflateEnd=ZSTD_test "$only/libelf.a"
		echo 'int ZSTD_test(void *unused); int ZSTD_test(void *unused) { return unused != 0; }' |
			"$CC" -x c -c - -o "$work/zstd.o"
		ar rcs "$only/libzstd.a" "$work/zstd.o"
	fi
	# Some libelf.a lack functions (elfutils 0.192), so no program can be linked with it.
	echo 'int bpf_object__load(void *); int main(void) { return bpf_object__load(0); }' >"$work/libbpf.c"
	"$CC" -w "$work/libbpf.c" -o "$work/libbpf" -L"$only" -lbpf -lelf -lz -lzstd 2>"$work/log" || {
		echo "kinds.sh: left out: a machine with static libraries only: libbpf.a does not link:" \
			"$(grep -m 1 -E 'cannot find|undefined reference' "$work/log" || head -n 1 "$work/log")"
		only=
	}
fi
if [ "$only" ]; then
	cat >"$only/pkgconfig/libbpf.pc" <<-EOP
		Name: libbpf
		Description: test
		Version: $(pkg-config --modversion libbpf)
		Libs: -L$only -lbpf
	EOP
	export PKG_CONFIG_PATH=$only/pkgconfig
	refused 'finds no shared libbpf' -DAGENTSH_EBPF_SHARED=ON
	build static
	unset PKG_CONFIG_PATH
	[ -z "$(find "$work/static" -name '*.so*')" ] || fail "a shared library was installed"
	run "$work/static/bin/agentsh-trace" --version
	consume static agentsh-ebpf agentsh-ebpf-static
	for program in "$work/static/bin/agentsh-trace" "$work/host" "$work/cmake-static/with-agentsh-ebpf"; do
		! needs "$program" | grep -vE '^(libc|libpthread|ld-linux.*)\.so' || fail "$program needs these libraries"
	done
	grep -q '^Libs:.* -lbpf -lelf -lz -lzstd ' "$work/static/lib/pkgconfig/agentsh-ebpf-static.pc" ||
		fail "$(cat "$work/static/lib/pkgconfig/agentsh-ebpf-static.pc")"
fi

# A shared libbpf brings its own libraries along.
run cmake -S "$source" -B "$work/build-archive" -DAGENTSH_EBPF_SHARED=OFF
for name in agentsh-ebpf agentsh-ebpf-static; do
	grep -qE '^Libs:.* -l:libagentsh-ebpf\.a (-L[^ ]* )?-lbpf -lpthread$' "$work/build-archive/lib/$name.pc" ||
		fail "$(cat "$work/build-archive/lib/$name.pc")"
done

# Components
for component in runtime development; do
	run cmake --install "$both" --prefix "$work/$component" --component $component
done
version=$(sed -nE 's/^#define AGENTSH_EBPF_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' \
	"$source/include/agentsh/ebpf.h" | paste -sd .)
soversion=$(sed -nE 's/^set\(AGENTSH_EBPF_SOVERSION ([0-9]+)\)$/\1/p' "$source/cmake/AgentshVersion.cmake")
names=$(find "$work/runtime" ! -type d -printf '%f\n' | sort | paste -sd ' ')
[ "$names" = "libagentsh-ebpf.so.$soversion libagentsh-ebpf.so.$version" ] || fail "component runtime: $names"
for name in ebpf.h libagentsh-ebpf.so libagentsh-ebpf.a agentsh-ebpf.pc agentsh-ebpf-static.pc \
	agentsh-ebpfConfig.cmake agentsh-ebpfConfigVersion.cmake agentsh-ebpfTargets.cmake; do
	[ -n "$(find "$work/development" -name $name)" ] || fail "component development lacks $name"
done
[ -z "$(find "$work/development" -name 'libagentsh-ebpf.so.*' -o -name agentsh-trace)" ] ||
	fail "component development has files of other components"

#!/usr/bin/env bash
# Installs the library and uses it as hosts do: with pkg-config, the program in the
# README, C and C++, shared, static and fully static linking, a CMake package and ctypes. Then moves the
# installed tree and repeats that.
# Usage: install.sh SOURCE-DIRECTORY BUILD-DIRECTORY CC CXX
set -euo pipefail
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$1
build=$2
export CC=$3 CXX=$4
unset LD_LIBRARY_PATH PKG_CONFIG_PATH PKG_CONFIG_LIBDIR DESTDIR CPATH LIBRARY_PATH CMAKE_PREFIX_PATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

# expect TEXT COMMAND...: the command must succeed and print exactly TEXT
expect() {
	local want=$1 got
	shift
	got=$("$@") || fail "failed: $*"
	[ "$got" = "$want" ] || fail "'$*' gave '$got', not '$want'"
}

# only DIRECTORY NAME: prints the path of the only file NAME below DIRECTORY
only() {
	local found
	found=$(find "$1" -name "$2")
	if [ -z "$found" ] || [ "$(wc -l <<<"$found")" -ne 1 ]; then
		fail "expected exactly one $2 below $1: $found"
	fi
	echo "$found"
}

# loads PROGRAM TEXT: whether the output of ldd contains TEXT (not a pipe to grep -q, which
# would kill ldd with SIGPIPE)
loads() {
	local libraries
	libraries=$(ldd "$1" 2>&1 || true) # a static program makes ldd fail
	[[ $libraries = *"$2"* ]]
}

# check_words TREE PKG-CONFIG...: pkg-config must print only -I, -L and -l, with directories
# in TREE. For a static link libbpf may add other words.
check_words() {
	local tree=$1 word inside=0 others
	shift
	others=" $(pkg-config --static --cflags --libs libbpf) "
	for word in $("$@"); do
		case $word in
		-[IL]*) [[ $(realpath -m "${word:2}") = "$tree"/* ]] && inside=$((inside + 1)) ;;
		-l?*) ;;
		*)
			[[ "$*" = *--static* && $others = *" $word "* ]] ||
				fail "'$*' prints '$word', which is not -I, -L or -l"
			;;
		esac
	done
	[ $inside -ge 2 ] || fail "'$*' prints no directories in $tree"
}

# use_tree TREE: uses an installed tree in all supported ways
use_tree() {
	local tree=$1 pc lib run flags static_flags fully_static_flags flags_of_both
	pc=$(only "$tree" agentsh-ebpf.pc)
	lib=$(dirname "$(only "$tree" libagentsh-ebpf.a)")
	export PKG_CONFIG_PATH
	PKG_CONFIG_PATH=$(dirname "$pc")

	expect "$version" pkg-config --modversion agentsh-ebpf
	check_words "$tree" pkg-config --cflags --libs agentsh-ebpf
	check_words "$tree" pkg-config --static --cflags --libs agentsh-ebpf
	expect "$version" pkg-config --modversion agentsh-ebpf-static
	check_words "$tree" pkg-config --cflags --libs agentsh-ebpf-static
	check_words "$tree" pkg-config --static --cflags --libs agentsh-ebpf-static
	read -r -a flags <<<"$(pkg-config --cflags --libs agentsh-ebpf)"
	# takes the archive, although the shared library lies beside it
	read -r -a static_flags <<<"$(pkg-config --cflags --libs agentsh-ebpf-static)"
	read -r -a fully_static_flags <<<"$(pkg-config --static --cflags --libs agentsh-ebpf-static)"

	if [ "$archives" ]; then
		local zstd=
		[[ " ${fully_static_flags[*]} " != *' -lzstd '* ]] || zstd=1
		[ "$zstd" = "$needs_zstd" ] || fail "-lzstd in agentsh-ebpf-static.pc: '$zstd', needed: '$needs_zstd'"
	fi

	rm -rf "$work/run"
	mkdir "$work/run"
	cd "$work/run"
	cp "$work/readme.c" minimal.c
	# the command in the README
	sh -c "$readme_command" || fail "the command in the README fails: $readme_command"
	mv a.out minimal
	local c=(-x c -std=c99 -Wall -Wextra -Wpedantic -Werror "$here/consumer/consumer.c" -x none)
	local cxx=(-x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror "$here/consumer/consumer.c" -x none)
	"$CC" "${c[@]}" -o c-shared "${flags[@]}"
	"$CXX" "${cxx[@]}" -o cxx-shared "${flags[@]}"
	"$CC" "${c[@]}" -o c-static "${static_flags[@]}"
	"$CXX" "${cxx[@]}" -o cxx-static "${static_flags[@]}"
	"$CC" minimal.c -o minimal-static "${static_flags[@]}"
	# the README's program in other languages
	local readme_c=(-x c -std=c99 -D_GNU_SOURCE -Wall -Wextra -Werror minimal.c -x none)
	cp minimal.c minimal.cc
	local readme_cxx=(-std=c++11 minimal.cc)
	"$CC" "${readme_c[@]}" -o minimal-c99 "${static_flags[@]}"
	"$CXX" "${readme_cxx[@]}" -o minimal-cxx11 "${static_flags[@]}" 2>log || fail "C++11: $(cat log)"
	local minimal=(minimal minimal-static minimal-c99 minimal-cxx11)
	local fully_static=()
	if [ "$archives" ]; then
		"$CC" -static "${c[@]}" -o c-fully-static "${fully_static_flags[@]}"
		"$CC" -static minimal.c -o minimal-fully-static "${fully_static_flags[@]}"
		# the .pc file of the shared library works with -static as well
		read -r -a flags_of_both <<<"$(pkg-config --static --cflags --libs agentsh-ebpf)"
		"$CC" -static "${c[@]}" -o c-fully-static-2 "${flags_of_both[@]}"
		fully_static=(c-fully-static c-fully-static-2)
		minimal+=(minimal-fully-static)
		for run in "${fully_static[@]}" minimal-fully-static; do
			! readelf -lW "$run" | grep INTERP >/dev/null || fail "$run needs a dynamic linker"
		done
	fi

	for run in c-static cxx-static "${fully_static[@]}"; do
		expect "$version" "./$run"
		! loads "./$run" 'libagentsh-ebpf' || fail "$run needs the shared library"
	done
	for run in c-shared cxx-shared; do
		! "./$run" 2>/dev/null || fail "$run runs without LD_LIBRARY_PATH: is a library installed elsewhere?"
		expect "$version" env LD_LIBRARY_PATH="$lib" "./$run"
		LD_LIBRARY_PATH=$lib loads "./$run" "libagentsh-ebpf.so.$soversion => $lib/" ||
			fail "$run does not use libagentsh-ebpf.so.$soversion of $lib"
	done
	# without a cgroup, any user gets one line that says what is wrong
	for run in "${minimal[@]}"; do
		status=0
		LD_LIBRARY_PATH=$lib "./$run" >out 2>err || status=$?
		if [ $status -ne 1 ] || [ -s out ] || [ "$(wc -l <err)" -ne 1 ]; then
			fail "$run ended with status $status and printed: $(cat out err)"
		fi
	done

	INSTALLED=1 "$here/elf.sh" "$lib/libagentsh-ebpf.so" "$soversion" "$static_libbpf"
	if [ "$examples" = ON ]; then
		local trace
		trace=$(only "$tree" agentsh-trace)
		loads "$trace" "libagentsh-ebpf.so.$soversion => $(dirname "$trace")/" ||
			fail "agentsh-trace does not find its library"
		"$trace" --help >/dev/null || fail "agentsh-trace --help fails"
	fi

	if [ "$scdoc" ]; then
		python3 "$here/man.py" installed "$source/docs/man" "$tree" || fail "manual pages"
	fi

	local language
	for language in C CXX; do
		if ! {
			cmake -S "$here/consumer" -B "cmake-$language" -DCONSUMER_LANGUAGE=$language \
				-DCMAKE_PREFIX_PATH="$tree" -DCONSUMER_STATIC="${archives:-OFF}" &&
				cmake --build "cmake-$language"
		} >log 2>&1; then
			fail "CMake, $language: $(cat log)"
		fi
		expect "$version" "./cmake-$language/with-agentsh-ebpf"
		expect "$version" "./cmake-$language/with-agentsh-ebpf-static"
		! loads "cmake-$language/with-agentsh-ebpf-static" 'libagentsh-ebpf' ||
			fail "CMake, $language: agentsh-ebpf-static is the shared library"
		[ -z "$archives" ] || expect "$version" "./cmake-$language/fully-static"
	done
	! cmake -S "$here/consumer" -B cmake-2 -DCONSUMER_WANTS=2.0 -DCMAKE_PREFIX_PATH="$tree" \
		>log 2>&1 || fail "CMake finds version 2.0"
	grep -q 'compatible with requested' log || fail "CMake does not say why not: $(cat log)"

	"$CC" -DPRINT "$here/layout.c" -o layout "${flags[@]}"
	LD_LIBRARY_PATH=$lib ./layout >layout.txt
	local python=(env PYTHONDONTWRITEBYTECODE=1 python3)
	"${python[@]}" "$source/examples/python/synthetic.py" "$lib/libagentsh-ebpf.so.$soversion" || fail "ctypes"
	# the structs of the Python module and of this header
	"${python[@]}" "$here/../python/abi.py" \
		check "$(only "$tree" ebpf.h)" layout.txt || fail "the Python module"
	cd "$work"
}

cache() {
	sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"
}
examples=$(cache AGENTSH_EBPF_EXAMPLES)
static_libbpf=$(cache AGENTSH_EBPF_STATIC_LIBBPF)
scdoc=$(cache SCDOC)
if [[ $scdoc = *-NOTFOUND ]]; then
	echo "install.sh: manual pages are not checked, because scdoc is not installed"
	scdoc=
fi
# A fully static program needs these archives, and zstd if libelf was built with it. Some libelf.a
# lack functions (elfutils 0.192), so no program with libbpf can be linked.
archives=ON
needs_zstd=
libelf=$("$CC" -print-file-name=libelf.a)
if nm -u "$libelf" 2>/dev/null | grep ' ZSTD_' >/dev/null; then
	needs_zstd=1
fi
echo 'int bpf_object__load(void *); int main(void) { return bpf_object__load(0); }' >"$work/libbpf.c"
if ! "$CC" -w -static "$work/libbpf.c" -o "$work/libbpf" -lbpf -lelf -lz ${needs_zstd:+-lzstd} -lpthread \
	2>"$work/log"; then
	echo "install.sh: left out: fully static programs, because libbpf does not link with -static:" \
		"$(grep -m 1 -E 'cannot find|undefined reference' "$work/log" || head -n 1 "$work/log")"
	archives=
fi
version=$(sed -nE 's/^#define AGENTSH_EBPF_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' \
	"$source/include/agentsh/ebpf.h" | paste -sd .)
soversion=$(sed -nE 's/^set\(AGENTSH_EBPF_SOVERSION ([0-9]+)\)$/\1/p' "$source/cmake/AgentshVersion.cmake")

awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$source/README.md" >"$work/readme.c"
diff -u "$source/examples/minimal.c" "$work/readme.c" ||
	fail "the program in README.md is not examples/minimal.c"
[ "$(wc -l <"$work/readme.c")" -le 30 ] || fail "the program in README.md has more than 30 lines"
# shellcheck disable=SC2016 # the backquotes are part of the README
readme_command=$(sed -nE 's/^.*`(cc minimal\.c [^`]*)`.*$/\1/p' "$source/README.md")
[ -n "$readme_command" ] || fail "README.md does not say how to build its program"

cmake --install "$build" --prefix "$work/prefix" >/dev/null
use_tree "$work/prefix"

# Installed files must contain neither the build directory nor the installation prefix.
strip -o "$work/stripped" "$(only "$work/prefix" "libagentsh-ebpf.so.$version")"
if grep -rlF --include='*.pc' --include='*.cmake' --include='*.h' -e "$source" -e "$build" -e "$work" \
	"$work/prefix" || grep -lF -e "$source" -e "$build" -e "${build#"$source"/}/" "$work/stripped"; then
	fail "installed files contain directories of the build"
fi
mkdir "$work/elsewhere"
mv "$work/prefix" "$work/elsewhere/moved"
use_tree "$work/elsewhere/moved"

# As a packager does: staged for /usr, and used from the staging directory.
DESTDIR=$work/dest cmake --install "$build" --prefix /usr >/dev/null
use_tree "$work/dest/usr"

# With absolute paths for the directories, as some distributions use them.
cmake -S "$source" -B "$work/absolute" -DCMAKE_INSTALL_PREFIX=/opt/agentsh \
	-DCMAKE_INSTALL_LIBDIR=/opt/agentsh/libs/64 -DCMAKE_INSTALL_INCLUDEDIR=/opt/agentsh/headers \
	>"$work/log" 2>&1 || fail "absolute directories: $(cat "$work/log")"
mkdir -p "$work/root/libs/64/pkgconfig"
cp "$work/absolute/lib/agentsh-ebpf.pc" "$work/root/libs/64/pkgconfig"
PKG_CONFIG_PATH=$work/root/libs/64/pkgconfig
for word in $(pkg-config --cflags --libs agentsh-ebpf); do
	case $word in -[IL]*) realpath -m "${word:2}" ;; esac
done >"$work/words"
for word in headers libs/64; do
	grep -qxF "$work/root/$word" "$work/words" ||
		fail "absolute directories: no $word in: $(tr '\n' ' ' <"$work/words")"
done

#!/usr/bin/env bash
# Runs in a root of Debian: installs the packages, and uses them as their users do.
# Usage: use.sh DIRECTORY VERSION
# DIRECTORY has the packages below packages/, and below project/ the README's program and its CMakeLists.txt.
set -euo pipefail

directory=$1
version=$2
cd "$directory"

fail() {
	echo "use.sh: $*" >&2
	exit 1
}

# ---- installing -------------------------------------------------------------

dpkg -i packages/*.deb >log 2>&1 || fail "dpkg -i: $(cat log)"
altered=$(dpkg --verify libagentsh-ebpf1 libagentsh-ebpf-dev agentsh-ebpf-tools)
[ -z "$altered" ] || fail "installed files differ from md5sums: $altered"
library=$(readlink -f "$(dpkg -L libagentsh-ebpf1 | grep '\.so\.1$')")
cache=$(ldconfig -p)
[[ $cache = *libagentsh-ebpf.so.1* ]] || fail "the cache of ldconfig lacks the library"
[ -e /usr/share/man/man3/agentsh_ebpf_fd.3.gz ] || fail "agentsh_ebpf_fd(3), an alias, has no page"

# the symbols file and the library
nm -D --defined-only "$library" | awk '{ sub(/@@/, "@", $3); print ($2 == "A" ? $3 "@" $3 : $3) }' |
	sort >exported
names=$(dpkg-query -c libagentsh-ebpf1 symbols)
awk '/^ / { print $1 }' "$names" | sort >symbols
diff -u exported symbols >log || fail "the exported symbols (-) and the symbols file (+) differ: $(cat log)"
[ "$(wc -l <symbols)" -gt 20 ] || fail "the symbols file has only $(wc -l <symbols) symbols"

# the installed examples
mkdir examples
for file in /usr/share/doc/libagentsh-ebpf-dev/examples/*.c; do
	name=$(basename "$file" .c)
	sources=("$file")
	case $name in
	session_output) continue ;; # a part of session_host
	session_host) sources+=("${file%/*}/session_output.c") ;;
	esac
	# shellcheck disable=SC2046 # words of pkg-config
	gcc -D_GNU_SOURCE -Wall -Werror "${sources[@]}" $(pkg-config --cflags --libs agentsh-ebpf) -o "examples/$name" ||
		fail "the installed example $name does not compile"
done
[ -e examples/session_host ] || fail "the example session_host is not installed"

# ---- the command ------------------------------------------------------------

dynamic=$(readelf -dW /usr/bin/agentsh-trace)
[[ $dynamic != *RPATH* && $dynamic != *RUNPATH* ]] || fail "agentsh-trace has a search path"
agentsh-trace --probe >probe || fail "agentsh-trace --probe: $(cat probe)"
# Nothing listens on port 9, so bash fails. The events are on stderr, as is the error of bash.
agentsh-trace --ebpf=required --json -- bash -c 'exec 3<>/dev/tcp/127.0.0.1/9' 2>events || [ $? -eq 1 ] ||
	fail "agentsh-trace: $(cat events)"
for type in net_connect net_connect_failed; do
	grep -q "\"type\":\"$type\".*\"dst_ip\":\"127.0.0.1\",\"dst_port\":9," events ||
		fail "there is no $type of the connection to 127.0.0.1: $(cat events)"
done

# ---- programs ---------------------------------------------------------------

# check PROGRAM LINK: PROGRAM is minimal-* or consumer-*; LINK is shared, static (the archive) or
# whole (no shared library at all).
programs=0
check() {
	local libraries status=0
	libraries=$(ldd "$1" 2>&1 || true)
	case $2:$libraries in
	shared:*"libagentsh-ebpf.so.1 => "*) ;;
	shared:*) fail "$1 does not use the shared library: $libraries" ;;
	*:*libagentsh-ebpf*) fail "$1 uses the shared library" ;;
	static:*libbpf.so.1*) ;;
	whole:*"not a dynamic executable"*) ;;
	*) fail "$1 is not linked as expected ($2): $libraries" ;;
	esac
	case ${1##*/} in
	consumer*) [ "$("$1")" = "$version" ] || fail "$1 does not print $version" ;;
	minimal*)
		# Any user gets one line that says what is wrong.
		setpriv --reuid=65534 --regid=65534 --clear-groups "$1" / >out 2>err || status=$?
		if [ $status -ne 1 ] || [ -s out ] || [ "$(wc -l <err)" -ne 1 ]; then
			fail "$1 ended with status $status and printed: $(cat out err)"
		fi
		;;
	esac
	programs=$((programs + 1))
}

mkdir -p built
chmod 755 . built # for nobody
read -r -a shared <<<"$(pkg-config --cflags --libs agentsh-ebpf)"
read -r -a static <<<"$(pkg-config --cflags --libs agentsh-ebpf-static)"
read -r -a whole <<<"$(pkg-config --static --cflags --libs agentsh-ebpf-static)"
[ "$(pkg-config --modversion agentsh-ebpf)" = "$version" ] || fail "pkg-config names another version"

# libelf.a of elfutils 0.192, which Debian 13 has, calls functions that it lacks.
whole_works=1
elf=$(nm "$(gcc -print-file-name=libelf.a)" 2>/dev/null)
if grep -q ' U eu_search_tree_init$' <<<"$elf" && ! grep -q ' T eu_search_tree_init$' <<<"$elf"; then
	whole_works=0
	echo "left out: programs without any shared library, because libelf.a here lacks eu_search_tree_init()"
fi

# compile COMPILER LANGUAGE STANDARD PROGRAM LINK FLAG...
compile() {
	local out=built/$4-$5
	"$1" -x "$2" "-std=$3" -D_POSIX_C_SOURCE=200809L -Wall "project/$4.c" -x none -o "$out" "${@:6}" \
		2>log || fail "$1 -std=$3 $4.c, $5: $(cat log)"
	check "$out" "$5"
}

for words in 'gcc c c99' 'gcc c c11' 'g++ c++ c++17' 'clang c c99' 'clang c c11' 'clang++ c++ c++17'; do
	read -r compiler language standard <<<"$words"
	for program in minimal consumer; do
		compile "$compiler" "$language" "$standard" "$program" shared "${shared[@]}"
		compile "$compiler" "$language" "$standard" "$program" static "${static[@]}"
	done
	[ $whole_works -eq 0 ] ||
		compile "$compiler" "$language" "$standard" consumer whole -static "${whole[@]}"

	rm -rf cmake
	id=C
	[ "$language" = c ] || id=CXX
	{
		cmake -S project -B cmake "-DLANGUAGE=$id" "-DCMAKE_${id}_COMPILER=$compiler" \
			"-DCMAKE_${id}_STANDARD=${standard##*[c+]}" &&
			cmake --build cmake
	} >log 2>&1 || fail "CMake, $compiler, $standard: $(cat log)"
	for program in minimal consumer; do
		check "cmake/$program-shared" shared
		check "cmake/$program-static" static
	done
done

# A program that uses the library gets its dependency from the symbols file.
mkdir -p built/debian
: >built/debian/control
depends=$(cd built && dpkg-shlibdeps -O consumer-shared 2>/dev/null)
[[ $depends = *"libagentsh-ebpf1 (>= $version)"* ]] || fail "dpkg-shlibdeps computes: $depends"

# ---- removing ---------------------------------------------------------------

dpkg -P agentsh-ebpf-tools libagentsh-ebpf-dev libagentsh-ebpf1 >log 2>&1 || fail "dpkg -P: $(cat log)"
left=$(find /usr /etc /var/lib/dpkg/info -name '*agentsh*')
[ -z "$left" ] || fail "removing the packages leaves: $left"

echo "the packages can be installed, used and removed; $programs programs built and run"

#!/usr/bin/env bash
# Says whether everything that carries the version of a release agrees: header, library, soname,
# version map, ABI baseline, frozen headers, changelog, .pc files, CMake package, manual pages,
# command, package descriptions and source archive. Prints one line per check.
#
# Usage: tests/release.sh [--final]
#   (no option)  what must agree at every commit
#   --final      also what holds only for a release: the changelog has its date, the header is
#                frozen, and the working tree is the commit that the tag vVERSION names
# BUILD_ROOT=DIR is the place of the build (default: build/).
# Exit status: 0 all agree, 1 something does not, 2 wrong usage.
#
# tests/abi/release.sh calls: tests/release.sh --check SOURCE TREE ARCHIVE
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
final=0 failed=0

usage() {
	sed -n '2,/^# Exit status/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
	exit 2
}

yes() { printf 'ok       %s\n' "$*"; }
no() {
	printf 'DIFFERS  %s\n' "$*"
	failed=1
}

# same WHAT WANT GOT
same() {
	if [ "$2" = "$3" ]; then yes "$1: $2"; else no "$1: ${3:-nothing}, expected $2"; fi
}

# only DIRECTORY NAME: the path of the only file or link NAME below DIRECTORY
only() {
	local found
	found=$(find "$1" -name "$2")
	if [ -n "$found" ] && [ "$(wc -l <<<"$found")" -eq 1 ]; then
		echo "$found"
	fi
}

check_library() {
	local library soversion node
	library=$(only "$tree" "libagentsh-ebpf.so.$version")
	soversion=$(sed -nE 's/^set\(AGENTSH_EBPF_SOVERSION ([0-9]+)\)$/\1/p' \
		"$source/cmake/AgentshVersion.cmake")
	if [ -z "$library" ]; then
		no "shared library: there is no libagentsh-ebpf.so.$version"
		return
	fi
	same 'version that the library returns' "$version" "$(python3 - "$library" <<-'END'
		import ctypes, sys
		function = ctypes.CDLL(sys.argv[1]).agentsh_ebpf_version
		function.restype = ctypes.c_char_p
		print(function().decode())
	END
	)"
	same soname "libagentsh-ebpf.so.$soversion" \
		"$(readelf -dW "$library" | sed -nE 's/.*\(SONAME\).*\[(.*)\]/\1/p')"
	same 'link of the soname' "libagentsh-ebpf.so.$version" \
		"$(readlink "$(dirname "$library")/libagentsh-ebpf.so.$soversion" || true)"
	node=$(sed -nE 's/^AGENTSH_EBPF_([0-9.]+) \{.*/\1/p' "$source/lib/libagentsh-ebpf.map" |
		sort -V | tail -n 1)
	if [ "$(printf '%s\n' "$node" "${version%.*}" | sort -V | tail -n 1)" = "${version%.*}" ]; then
		yes "newest node of the version map: $node"
	else
		no "newest node of the version map: $node, later than $version"
	fi
	if "$source/tests/abi/compare.sh" "$library" "$header" >"$work/compare" 2>&1; then
		yes 'ABI baseline: that of the library'
	else
		no "ABI baseline: $(tail -n 1 "$work/compare")"
	fi
}

check_changelog() {
	local title date
	title=$(grep -m 1 '^## ' "$source/CHANGELOG.md" || true)
	date=$(sed -nE 's/^## [^ ]+ \((.*)\)$/\1/p' <<<"$title")
	same 'first version of the changelog' "$version" "$(sed -nE 's/^## ([^ ]+) .*/\1/p' <<<"$title")"
	if [[ $date =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]]; then
		yes "date of the changelog: $date"
	elif [ "$date" = unreleased ] && [ "$final" -eq 0 ]; then
		yes 'date of the changelog: unreleased'
	else
		no "date of the changelog: ${date:-nothing}, expected YEAR-MONTH-DAY"
	fi
}

# Once a version is released, its header and version map are those of the frozen copy.
check_frozen() {
	local copy=$source/tests/abi/frozen/$version
	[ "$final" -eq 1 ] || return 0
	if cmp -s "$copy/agentsh/ebpf.h" "$header"; then
		yes 'frozen header: equal'
	else
		no "frozen header: tests/abi/frozen/$version differs from the header"
	fi
	if cmp -s "$copy/libagentsh-ebpf.map" "$source/lib/libagentsh-ebpf.map"; then
		yes 'frozen version map: equal'
	else
		no "frozen version map: tests/abi/frozen/$version differs from lib/libagentsh-ebpf.map"
	fi
}

check_links() {
	local name file
	for name in agentsh-ebpf agentsh-ebpf-static; do
		file=$(only "$tree" "$name.pc")
		same "$name.pc" "$version" "$([ -z "$file" ] || sed -n 's/^Version: //p' "$file")"
	done
	file=$(only "$tree" agentsh-ebpfConfigVersion.cmake)
	same 'CMake package' "$version" \
		"$([ -z "$file" ] || sed -nE 's/^set\(PACKAGE_VERSION "(.*)"\)$/\1/p' "$file")"
}

check_command() {
	local command
	command=$(only "$tree" agentsh-trace)
	same 'agentsh-trace --version' "agentsh-trace $version" \
		"$([ -z "$command" ] || "$command" --version 2>&1 | head -n 1 | sed -E 's/^(agentsh-trace [0-9.]*[0-9]).*/\1/')"
}

check_manual() {
	local missing
	if ! command -v scdoc >/dev/null; then
		no 'manual pages: scdoc is not installed'
		return
	fi
	missing=$(python3 "$source/tests/abi/header.py" functions "$header" | while read -r name; do
		[ -n "$(only "$tree" "$name.3")" ] || echo "$name"
	done)
	same 'functions without a manual page' '' "$(tr '\n' ' ' <<<"$missing" | sed 's/ $//')"
	same 'agentsh_ebpf_version(3), its example' "$version" \
		"$(grep -oE '"[0-9]+\.[0-9]+\.[0-9]+"' "$source/docs/man/agentsh_ebpf_version.3.scd" | tr -d '"')"
}

check_descriptions() {
	local file
	for file in "$source"/cmake/packaging/*.spec; do
		same "${file##*/}" "$version" "$(sed -nE 's/^Version: +//p' "$file")"
	done
	file=$source/cmake/packaging/PKGBUILD
	same PKGBUILD "$version" "$(sed -n 's/^pkgver=//p' "$file")"
}

check_archive() {
	local name=agentsh-ebpf-$version wanted
	same 'name of the source archive' "$name.tar.gz" "${archive##*/}"
	tar -tzf "$archive" >"$work/names"
	same 'top directory of the source archive' "$name" "$(cut -d/ -f1 "$work/names" | sort -u)"
	for wanted in CMakeLists.txt LICENSE CHANGELOG.md README.md include/agentsh/ebpf.h lib/libagentsh-ebpf.map; do
		tar -xzOf "$archive" "$name/$wanted" >"$work/file" 2>/dev/null || true
		cmp -s "$work/file" "$source/$wanted" || no "source archive: $wanted differs"
	done
	same 'generated programs in the source archive' 3 "$(grep -c '\.skel\.h$' "$work/names" || true)"
	same 'files of git or of a build in the source archive' 0 \
		"$(grep -cE '/(\.git|build|CMakeCache\.txt|CMakeFiles)(/|$)' "$work/names" || true)"
}

check_commit() {
	[ "$final" -eq 1 ] || return 0
	same 'changes that are not committed' 0 "$(git -C "$source" status --porcelain | wc -l)"
	same "commit of the tag v$version" "$(git -C "$source" rev-parse HEAD)" \
		"$(git -C "$source" rev-parse --verify -q "v$version^{commit}" || true)"
}

check_all() {
	header=$source/include/agentsh/ebpf.h
	version=$(sed -nE 's/^#define AGENTSH_EBPF_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' "$header" |
		paste -sd .)
	yes "version of the header: $version"
	check_library
	check_changelog
	check_frozen
	check_links
	check_command
	check_manual
	check_descriptions
	check_archive
	check_commit
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $#:${1:-} in
0:) ;;
1:--final) final=1 ;;
4:--check)
	source=$2 tree=$3 archive=$4
	check_all
	exit "$failed"
	;;
*) usage ;;
esac

source=$(cd "$here/.." && pwd)
root=${BUILD_ROOT:-$source/build}
build=$root/release
mkdir -p "$build"
rm -f "$build"/agentsh-ebpf-*.tar.gz # also those of other versions
if ! {
	cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo &&
		cmake --build "$build" && cmake --build "$build" --target dist &&
		cmake --install "$build" --prefix "$work/tree"
} >"$build/build.log" 2>&1; then
	tail -n 40 "$build/build.log" >&2
	echo "release.sh: the build failed" >&2
	exit 1
fi
tree=$work/tree
archive=$(find "$build" -maxdepth 1 -name '*.tar.gz')
check_all
exit "$failed"

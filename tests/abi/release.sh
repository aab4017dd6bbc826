#!/usr/bin/env bash
# Runs the checks of tests/release.sh with a build, and checks that they find a difference in each
# place that carries the version.
# Usage: release.sh SOURCE-DIRECTORY BUILD-DIRECTORY; exit status 77: skipped, no scdoc or no list of files
set -euo pipefail

source=$1
build=$2
failed=0
if ! command -v scdoc >/dev/null; then
	echo "skipped: scdoc is not installed, so there are no manual pages to check"
	exit 77
fi

if ! { [ -e "$source/.git" ] && command -v git >/dev/null; } && [ ! -e "$source/MANIFEST" ]; then
	echo "skipped: without git or the file MANIFEST, the list of the source files is unknown"
	exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

rm -f "$build"/agentsh-ebpf-*.tar.gz # also those of other versions
{
	cmake --install "$build" --prefix "$work/installed" && cmake --build "$build" --target dist
} >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	exit 1
}
tree=$work/installed
archive=$(find "$build" -maxdepth 1 -name '*.tar.gz')

copy() {
	rm -rf "$work/source" "$work/tree"
	mkdir "$work/source" "$work/source/tests"
	cp -R "$source/cmake" "$source/docs" "$source/include" "$source/lib" "$source"/*.md "$source/LICENSE" \
		"$source/CMakeLists.txt" "$work/source"
	cp -R "$source/tests/abi" "$work/source/tests"
	cp -R "$tree" "$work/tree"
}

# try LINE FILE SED-EXPRESSION: release.sh must say that LINE differs after the change of FILE
try() {
	local file=$work/$2 status=0
	copy
	file=$(compgen -G "$file")
	cp "$file" "$work/before"
	sed -i -E "$3" "$file"
	if cmp -s "$work/before" "$file"; then
		echo "release.sh: '$3' changes nothing in $2" >&2
		failed=1
	fi
	expect "$1" "$2"
}

expect() {
	local status=0
	"$source/tests/release.sh" --check "$work/source" "$work/tree" "${3:-$archive}" >"$work/out" 2>&1 || status=$?
	if [ "$status" -ne 1 ] || ! grep -q "^DIFFERS  $1" "$work/out"; then
		echo "release.sh: a change of $2 should give 'DIFFERS  $1'; status $status:" >&2
		cat "$work/out" >&2
		failed=1
	fi
}

copy
"$source/tests/release.sh" --check "$work/source" "$work/tree" "$archive" >"$work/out" 2>&1 || {
	cat "$work/out" >&2
	failed=1
}
try 'shared library' source/include/agentsh/ebpf.h 's/(VERSION_PATCH) [0-9]+/\1 77/'
try soname source/cmake/AgentshVersion.cmake 's/(SOVERSION) [0-9]+/\1 77/'
try 'newest node' source/lib/libagentsh-ebpf.map 's/^AGENTSH_EBPF_[0-9.]+ \{/AGENTSH_EBPF_77.0 {/'
try 'ABI baseline' source/tests/abi/constants.txt '1d'
try 'first version' source/CHANGELOG.md 's/^(## )[0-9.]+/\177.0.0/'
try 'date of' source/CHANGELOG.md 's/^(## [0-9.]+).*/\1 (soon)/'
try 'agentsh-ebpf.pc' 'tree/lib*/pkgconfig/agentsh-ebpf.pc' 's/^Version: .*/Version: 77/'
try 'agentsh-ebpf-static.pc' 'tree/lib*/pkgconfig/agentsh-ebpf-static.pc' 's/^Version: .*/Version: 77/'
try 'CMake package' 'tree/lib*/cmake/agentsh-ebpf/agentsh-ebpfConfigVersion.cmake' 's/(PACKAGE_VERSION) ".*"/\1 "77"/'
try 'agentsh_ebpf_version(3)' source/docs/man/agentsh_ebpf_version.3.scd 's/"[0-9.]+"/"77.0.0"/'
try 'PKGBUILD' source/cmake/packaging/PKGBUILD 's/^pkgver=.*/pkgver=77/'
try 'source archive: CHANGELOG.md' source/CHANGELOG.md '1s/^/more /'
copy
rm "$(find "$work/tree" -name agentsh_ebpf_wake.3)"
expect 'functions without' 'a removed page'
cp "$archive" "$work/agentsh-ebpf-77.tar.gz"
copy
expect 'name of the source archive' 'the name of the archive' "$work/agentsh-ebpf-77.tar.gz"
exit "$failed"

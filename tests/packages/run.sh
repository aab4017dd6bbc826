#!/usr/bin/env bash
# Builds the source archive and the Debian packages in minimal systems of Debian, checks the packages
# with lintian, and installs and uses them there. Also checks the RPM spec and the PKGBUILD.
#
# Usage: run.sh [--quickstart] [SUITE...] (default: bookworm trixie)
#   --quickstart  also runs examples/quickstart.sh in a minimal system of the last suite, which fetches
#                 its build dependencies each time
# BUILD_ROOT=DIR is the place of the builds (default: build/). The roots are kept in the cache: root.sh.
# Exit status: 0 all passed, 77 this machine cannot make the roots, anything else a failure.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
quickstart=
if [ "${1:-}" = --quickstart ]; then
	quickstart=quickstart
	shift
fi
[ $# -gt 0 ] || set -- bookworm trixie
first=$1

skip() {
	echo "tests/packages/run.sh: skipped: $*"
	exit 77
}
[ "$(id -u)" -eq 0 ] || skip "needs root, to make root directories of Debian"
for tool in apt-get mmdebstrap lintian rpmlint; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
if ! { [ -e "$top/.git" ] && command -v git >/dev/null; } && [ ! -e "$top/MANIFEST" ]; then
	skip "without git or the file MANIFEST, the list of the source files is unknown"
fi

mkdir -p "${BUILD_ROOT:-$top/build}"
root=$(cd "${BUILD_ROOT:-$top/build}" && pwd)/packages
version=$(sed -nE 's/^#define AGENTSH_EBPF_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' \
	"$top/include/agentsh/ebpf.h" | paste -sd .)
# what README.md asks for to build from the source archive
minimal=(gcc libc6-dev cmake make pkg-config libbpf-dev libelf-dev zlib1g-dev)
more=(g++ clang dpkg-dev file scdoc)

fail() {
	echo "tests/packages/run.sh: $*" >&2
	exit 1
}

step() { # SUITE BEGIN TEXT
	echo "$1: $3 ($((SECONDS - $2)) s)"
}

# suite SUITE: all steps in the roots of a suite of Debian
suite() {
	local name=$1 dir=$root/$1 empty bare full begin=$SECONDS found package
	empty=$("$here/root.sh" "$name")
	bare=$("$here/root.sh" "$name" "${minimal[@]}")
	full=$("$here/root.sh" "$name" "${minimal[@]}" -- "${more[@]}")
	step "$name" "$begin" "roots are ready"
	begin=$SECONDS

	rm -rf "$dir"
	mkdir -p "$dir/project"
	cp "$root/dist/agentsh-ebpf-$version.tar.gz" "$here"/{build,package,use}.sh "$dir"
	cp "$here/project/CMakeLists.txt" "$top/examples/minimal.c" "$top/tests/abi/consumer/consumer.c" \
		"$dir/project"

	found=$("$here/enter.sh" "$bare" "$dir" -- "$dir/build.sh" "$dir" "$version")
	step "$name" "$begin" "$found"
	"$here/enter.sh" "$full" "$dir" -- "$dir/package.sh" "$dir"
	step "$name" "$begin" "two runs of cpack made the same packages"

	# What apt would install beside the packages on a system that has nothing but apt
	# shellcheck disable=SC2016 # expanded by the inner shell
	"$here/enter.sh" "$empty" "$dir" -- sh -c 'apt-get --simulate install "$1"/packages/*.deb' sh "$dir" >"$dir/apt.log"
	for package in libagentsh-ebpf1 libagentsh-ebpf-dev agentsh-ebpf-tools libbpf1 libbpf-dev libelf-dev zlib1g-dev; do
		grep -q "^Inst $package " "$dir/apt.log" || fail "$name: apt would not install $package"
	done
	step "$name" "$begin" "apt finds all dependencies"

	if [ "$name" = "$first" ]; then # the packages of all suites have the same files
		# The tag is about uploads to Debian. lintian leaves temporary files behind.
		rm -rf "$dir/tmp"
		mkdir "$dir/tmp"
		TMPDIR=$dir/tmp lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$dir"/packages/*.deb 2>&1 ||
			fail "$name: lintian"
		step "$name" "$begin" "lintian found no error and no warning"
	fi
	found=$("$here/enter.sh" "$full" "$dir" -- "$dir/use.sh" "$dir" "$version")
	step "$name" "$begin" "$found"
}

quickstart() { # SUITE
	local begin=$SECONDS
	"$here/bare-root.sh" "$1" --quickstart >"$root/quickstart-$1.log" 2>&1 || {
		cat "$root/quickstart-$1.log"
		return 1
	}
	step "$1" "$begin" "examples/quickstart.sh passed"
}

"$here/specs.sh" || fail "the RPM spec or the PKGBUILD"

mkdir -p "$root/dist"
{
	cmake -S "$top" -B "$root/dist" -G Ninja && cmake --build "$root/dist" --target dist
} >"$root/dist.log" 2>&1 || fail "the source archive: $(tail -n 40 "$root/dist.log")"

failed=0
declare -A pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
for name; do
	suite "$name" >"$root/$name.log" 2>&1 &
	pids[$name]=$!
done
if [ -n "$quickstart" ]; then
	quickstart "${*: -1}" >"$root/quickstart.log" 2>&1 &
	pids[quickstart]=$!
fi
for name in "$@" $quickstart; do
	wait "${pids[$name]}" || {
		echo "tests/packages/run.sh: FAILED: $name"
		failed=1
	}
	cat "$root/$name.log"
	unset "pids[$name]"
done
exit $failed

#!/usr/bin/env bash
# Runs in a root of Debian that has no more than README.md asks for: builds the source archive, and
# runs the command.
# Usage: build.sh DIRECTORY VERSION
# DIRECTORY has the source archive; the build stays in DIRECTORY/build.
set -euo pipefail

directory=$1
version=$2
cd "$directory"

fail() {
	echo "build.sh: $*" >&2
	exit 1
}

for tool in clang bpftool git ninja scdoc; do
	! command -v "$tool" >/dev/null || fail "$tool is installed here, so this root shows nothing"
done
tar -xf "agentsh-ebpf-$version.tar.gz"
{
	cmake -S "agentsh-ebpf-$version" -B build -DCMAKE_INSTALL_PREFIX=/usr -DAGENTSH_EBPF_WERROR=ON &&
		cmake --build build -j "$(nproc)"
} >build.log 2>&1 || fail "the build failed: $(tail -n 40 build.log)"
build/examples/agentsh-trace --probe >probe || fail "agentsh-trace --probe: $(cat probe)"
echo "built without clang, bpftool and git; agentsh-trace --probe: $(head -n 1 probe)"

#!/usr/bin/env bash
# Builds the source tree as part of another CMake project.
# Usage: subproject.sh SOURCE-DIRECTORY BUILD-DIRECTORY
set -euo pipefail
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$1
build=$2

mkdir -p "$build"
if ! {
	cmake -S "$here/consumer" -B "$build" -DCONSUMER_SUBPROJECT="$source" &&
		cmake --build "$build" --parallel 2
} >"$build/build.log" 2>&1; then
	tail -n 60 "$build/build.log" >&2
	exit 1
fi
"$build/with-agentsh-ebpf"
"$build/with-agentsh-ebpf-static"

# The embedded eBPF programs must not contain the build directory, either.
library=$(find "$build" -name 'libagentsh-ebpf.so.*.*.*')
strip -o "$build/stripped" "$library"
if grep -qF "$source" "$build/stripped"; then
	echo "subproject.sh: the library contains the path of its source directory" >&2
	exit 1
fi

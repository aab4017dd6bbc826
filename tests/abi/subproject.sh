#!/usr/bin/env bash
# The source tree as a part of another CMake project.
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

# The kernel programs inside do not know where they were built either.
library=$(find "$build" -name 'libagentsh-ebpf.so.*.*.*')
strip -o "$build/stripped" "$library"
if grep -qF "$source" "$build/stripped"; then
	echo "subproject.sh: the library names the directory of its source" >&2
	exit 1
fi

#!/usr/bin/env bash
# Builds the library and writes a new baseline of its ABI. Commit the result.
# Usage: update.sh [BUILD-DIRECTORY]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${1:-$top/build/abi}

export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAGENTSH_EBPF_EXAMPLES=OFF >/dev/null
cmake --build "$build" --target agentsh-ebpf --parallel 2 >/dev/null
"$here/baseline.sh" "$build/lib/libagentsh-ebpf.so" "$top/include/agentsh/ebpf.h" "$here"
git -C "$top" --no-pager diff --stat -- "$here" || true

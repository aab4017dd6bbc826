#!/usr/bin/env bash
# Checks that compare.sh classifies changes correctly. Each change is made in a copy.
# Usage: self-test.sh SOURCE-DIRECTORY BUILD-DIRECTORY
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$1
build=$2
failed=0

rm -rf "$build"
mkdir -p "$build"
cp -R "$source/include" "$build/include"
header=$build/include/agentsh/ebpf.h
cp "$header" "$build/ebpf.h"
cc=${CC:-cc}

# Builds a library with the ABI of the header, whose functions do nothing.
make_library() {
	python3 "$here/header.py" stub "$header" >"$build/stub.c"
	"$cc" -g -O0 -fPIC -shared -w -I"$build/include" -Wl,--version-script="$build/map" \
		-Wl,-soname,"$1" "$build/stub.c" -o "$build/stub.so"
}

# try WANT SED-EXPRESSION [SONAME]: applies the expression to the header. WANT is part of
# compare.sh's message, or "same".
try() {
	local soname=${3:-libagentsh-ebpf.so.1} status=0
	sed -E "$2" "$build/ebpf.h" >"$header"
	if [ "$1" != same ] && [ "$soname" = libagentsh-ebpf.so.1 ] && cmp -s "$build/ebpf.h" "$header"; then
		echo "self-test.sh: '$2' changes nothing" >&2
		failed=1
		return
	fi
	{
		echo 'AGENTSH_EBPF_1.0 { global:'
		python3 "$here/header.py" functions "$header" | sed 's/$/;/'
		echo 'local: *; };'
	} >"$build/map"
	make_library "$soname"
	"$here/compare.sh" "$build/stub.so" "$header" >"$build/out" 2>&1 || status=$?
	case $1 in
	same) [ $status -eq 0 ] ;;
	*) [ $status -ne 0 ] && grep -q "$1" "$build/out" ;;
	esac || {
		echo "self-test.sh: '$2' should be reported as '$1':" >&2
		cat "$build/out" >&2
		failed=1
	}
}

incompatible='not compatible with the baseline'
added='has additions that the baseline lacks'
try same ''
try "$added" 's/^(AGENTSH_EBPF_API .*)agentsh_ebpf_version\(void\);/&\nAGENTSH_EBPF_API int agentsh_ebpf_more(void);/'
try "$added" 's/AGENTSH_EBPF_FLAG_V4_MAPPED = 1/&, AGENTSH_EBPF_FLAG_MORE = 2/'
try "$incompatible" '/agentsh_ebpf_version\(void\);/d'
try "$incompatible" 's/agentsh_ebpf_version\(void\);/agentsh_ebpf_version(int unused);/'
try "$incompatible" 's/(AGENTSH_EBPF_API )int (agentsh_ebpf_wake)/\1uint64_t \2/'
try "$incompatible" 's/^\tuint32_t ppid;/\tuint64_t ppid;/'
try "$incompatible" 's/^\tuint8_t local_addr\[16\];/\tuint8_t local_addr[8], more[8];/'
try "$incompatible" 's/^\tuint16_t local_port;/\tuint16_t renamed_port;/'
try "$incompatible" 's/AGENTSH_EBPF_EVENT_UDP_SEND = 2/AGENTSH_EBPF_EVENT_UDP_SEND = 3/'
try "$incompatible" 's/AGENTSH_EBPF_STEP_STORAGE /AGENTSH_EBPF_STEP_TAG /'
try "$incompatible" '' libagentsh-ebpf.so.2
exit $failed

#!/usr/bin/env bash
# Checks that frozen.sh accepts headers of an older, compatible ABI and refuses incompatible ones.
# Usage: frozen-self-test.sh FROZEN-DIRECTORY LIBRARY-DIRECTORY
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
frozen=$1
libraries=$2
failed=0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# try works|fails SED-EXPRESSION: with each frozen header and version map changed by the expression
try() {
	local version status=0
	rm -rf "$work/frozen"
	cp -R "$frozen" "$work/frozen"
	for version in "$work/frozen"/*/; do
		sed -i -E "$2" "$version/agentsh/ebpf.h" "$version/libagentsh-ebpf.map"
		if diff -rq "$frozen/$(basename "$version")" "$version" >/dev/null; then
			echo "frozen-self-test.sh: '$2' changes nothing" >&2
			failed=1
		fi
	done
	"$here/frozen.sh" "$work/frozen" "$libraries" - >"$work/out" 2>&1 || status=$?
	if [ "$1" = works ]; then [ "$status" -eq 0 ]; else [ "$status" -ne 0 ]; fi || {
		echo "frozen-self-test.sh: after '$2' the outcome should be: $1" >&2
		cat "$work/out" >&2
		failed=1
	}
}

# structs that were smaller
try works '/^\tuint64_t packets_lost;/,/^\tuint64_t names_evicted;/d'
try works '/^\tuint32_t progress_interval_ms;/,/^\tuint16_t dns_ports\[4\];/d'
# members, constants and functions that changed
try fails 's/^\tuint64_t delivered;/\tuint64_t another;\n&/'
try fails 's/^\tuint16_t local_port;/\tuint32_t local_port;/'
try fails 's/(AGENTSH_EBPF_MODE_SYNTHETIC = )[0-9]+/\10/'
try fails 's/agentsh_ebpf_wake([(;])/agentsh_ebpf_awake\1/'
# functions that got another version
try fails 's/^AGENTSH_EBPF_1.0 \{/AGENTSH_EBPF_0.9 {/'
exit "$failed"

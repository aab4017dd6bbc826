#!/usr/bin/env bash
# Traces real programs that look a name up at a real resolver and connect, and checks that each
# event of the connection has the name. Runs in network and mount namespaces of its own.
# Usage: resolvers.sh CONNECTION-LINES BUILD-DIRECTORY; exit status 77: skipped, not root, or neither
# dnsmasq nor unbound is installed. Other programs are optional: what is missing is named.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$PATH:/usr/sbin:/sbin PYTHONDONTWRITEBYTECODE=1
if [ "$(id -u)" -ne 0 ]; then
	echo "skipped: needs root"
	exit 77
fi
if ! command -v dnsmasq unbound >/dev/null; then
	echo "skipped: neither dnsmasq nor unbound is installed"
	exit 77
fi
if ! unshare --net --mount true 2>/dev/null; then
	echo "skipped: network and mount namespaces cannot be made here"
	exit 77
fi
work=$(mktemp -d "$2/resolvers.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 143' HUP INT TERM
"$here/resolvers_clients.sh" "$work/bin" "$2"
# A test that is killed takes its servers along.
setpriv --pdeathsig KILL unshare --net --mount --kill-child --fork \
	python3 "$here/resolvers.py" "$1" "$work" "$work/bin"

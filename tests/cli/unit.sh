#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs agentsh-trace as examples/collect/agentsh-trace.service does: as another user, with only the
# capabilities of the unit, and with read-only cgroups. Without systemd, so the sandboxing of the
# unit is not tested.
# Usage: unit.sh AGENTSH-TRACE UNIT; exit status 77: skipped, not root.
set -euo pipefail

trace=$1 unit=$2
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

value() { sed -n "s/^$1=//p" "$unit"; }
capabilities=$(value AmbientCapabilities | tr 'A-Z ' 'a-z,' | sed 's/cap_//g; s/,/,+/g; s/^/+/')
[ "$capabilities" = +bpf,+net_admin,+perfmon ] || fail "other capabilities: $capabilities"
# LogsDirectory= makes a directory that the user may write to.
chmod 755 "$work"
mkdir "$work/log"
chown 65534 "$work/log"
cp "$trace" "$work/agentsh-trace"
library=$(ldd "$trace" | awk '/agentsh-ebpf/ { print $3 }')
[ -z "$library" ] || cp -L "$library" "$work"
slice=$parent/agents.slice
mkdir "$slice"
read -r _ command < <(value ExecStart)
command=${command//\$\{LOGS_DIRECTORY\}/$work/log}
command=${command//\$\{INVOCATION_ID\}/1}
command=${command//\/sys\/fs\/cgroup\/agents.slice/$slice}

# with CAPABILITIES: starts the command of the unit in the background with these capabilities
with() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	LD_LIBRARY_PATH=$work background unshare -m --propagation private sh -c \
		'mount -o remount,bind,ro "$0" && exec "$@"' "$root" \
		setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
		--bounding-set="-all,$1" --inh-caps="-all,$1" --ambient-caps="-all,$1" \
		env LD_LIBRARY_PATH="$work" "$work/agentsh-trace" "${arguments[@]}"
}
read -r -a arguments <<<"$command"

attempt() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	sh -c 'echo 0 >"$0/cgroup.procs"; exec bash -c "(exec 3<>/dev/tcp/127.0.0.3/9) 2>/dev/null"' "$slice" || true
	grep -q '"dst_ip":"127.0.0.3"' "$work/log/trace-1.jsonl"
}

for set in "$capabilities" "${capabilities%,+perfmon}"; do
	begin "the command of the unit traces with $set"
	rm -f "$work/log/trace-1.jsonl"
	with "$set"
	wait_for attempt
	kill "$pid"
	ends 0
	says '"type":"ebpf_detached"' "$work/log/trace-1.jsonl"
	[ "$(stat -c %u "$work/log/trace-1.jsonl")" = 65534 ] || fail "the trace has another owner"
done

begin "without CAP_BPF the unit fails"
with +net_admin,+perfmon
ends 125

begin "systemd reads the unit without a complaint"
if command -v systemd-analyze >/dev/null; then
	sed "s#/usr/bin/agentsh-trace#$work/agentsh-trace#" "$unit" >"$work/agentsh-trace.service"
	printf '[Slice]\n' >"$work/agents.slice"
	expect 0 systemd-analyze verify "$work/agentsh-trace.service" "$work/agents.slice"
	silent "$work/err"
else
	echo "systemd-analyze is not installed: the unit is not verified"
fi

rmdir "$slice"
finish

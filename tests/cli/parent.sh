#!/usr/bin/env bash
# Runs agentsh-trace --cgroup-parent: the command runs below that cgroup or not at all, traced
# or untraced. Usage: parent.sh AGENTSH-TRACE; exit status 77: skipped, not root.
# shellcheck disable=SC2016 # variables in single quotes are expanded by inner shells
set -euo pipefail

trace=$1
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

# in_mode MODE ARGUMENT...: runs agentsh-trace in one of these modes
modes=(traced required off environment missing)
in_mode() {
	local mode=$1
	shift
	case $mode in
	traced) "$trace" "$@" ;;
	required) "$trace" --ebpf=required "$@" ;;
	off) "$trace" --ebpf=off "$@" ;;
	environment) AGENTSH_EBPF=off "$trace" "$@" ;;
	missing) AGENTSH_EBPF_SIMULATE_MISSING=connect4 "$trace" "$@" ;;
	esac
}

begin "the command runs below PATH, and its cgroup is removed"
for mode in "${modes[@]}"; do
	expect 7 in_mode "$mode" --cgroup-parent "$parent" -- sh -c 'grep ^0:: /proc/self/cgroup; exit 7'
	says "${parent#"$root"}/agentsh-trace." "$work/out"
	removed
done
says "agentsh-trace: running untraced: " # in the last mode

begin "the same with --json and if clone3() is forbidden"
for mode in off missing; do
	expect 0 in_mode "$mode" --json --cgroup-parent "$parent" -- grep ^0:: /proc/self/cgroup
	says "${parent#"$root"}/agentsh-trace." "$work/out"
done
says ebpf_unavailable
expect 0 python3 "$here/traffic.py" seccomp "$trace" --ebpf=off --cgroup-parent "$parent" -- \
	grep ^0:: /proc/self/cgroup
says "${parent#"$root"}/agentsh-trace." "$work/out"
removed

begin "without --cgroup-parent an untraced command stays in the cgroup of agentsh-trace"
for mode in off environment missing; do
	expect 0 in_mode "$mode" -- grep ^0:: /proc/self/cgroup
	[ "$(cat "$work/out")" = "$(grep ^0:: /proc/self/cgroup)" ] || fail "$mode: $(cat "$work/out")"
done

begin "a PATH that cannot be used is refused, and the command is not run"
mkdir "$parent/full" "$parent/closed"
echo 0 >"$parent/full/cgroup.max.descendants"
for bad in "" "$work/none" "$work" "$here/parent.sh" /proc "$parent/full" "$root/cgroup.procs"; do
	for mode in "${modes[@]}"; do
		expect 125 in_mode "$mode" --cgroup-parent "$bad" -- touch "$work/ran"
		says "making a cgroup below $bad: "
		[ "$(wc -l <"$work/err")" -eq 1 ] || fail "$mode: more than one line: $(cat "$work/err")"
		grep -q "running untraced" "$work/err" && fail "$mode: $(cat "$work/err")"
	done
	expect 125 "$trace" --json --cgroup-parent "$bad" -- touch "$work/ran"
	says '"step":"cgroup_create"'
	rm -f "$work/json"
	expect 125 "$trace" --json -o "$work/json" --cgroup-parent "$bad" -- touch "$work/ran"
	says '"step":"cgroup_create"' "$work/json"
	says "agentsh-trace: cannot trace: "
done
[ ! -e "$work/ran" ] || fail "the command was run"
[ -z "$(find "$work" /proc -maxdepth 1 -name 'agentsh-trace.*')" ] || fail "a directory was left behind"
expect 125 "$trace" --ebpf=off --cgroup-parent "$work" -- true
says "agentsh-trace: cannot run COMMAND: making a cgroup below $work: it is not a directory of cgroup v2"

begin "a cgroup that no process can enter"
# A cgroup below a threaded one is invalid until it is threaded, too: no process can enter it.
echo threaded >"$parent/closed/cgroup.type"
for mode in "${modes[@]}"; do
	expect 125 in_mode "$mode" --cgroup-parent "$parent/closed" -- touch "$work/ran"
	says "starting a process in the new cgroup: "
done
[ ! -e "$work/ran" ] || fail "the command was run"
rmdir "$parent/full" "$parent/closed"
removed

begin "a user without permission for PATH"
mkdir "$work/copy"
cp "$trace" "$work/copy/"
ldd "$trace" | awk '/libagentsh/ { print $3 }' | xargs -I{} cp -L {} "$work/copy/libagentsh-ebpf.so.1"
chmod -R a+rX "$work"
user=(setpriv --reuid=65534 --regid=65534 --clear-groups -- env "LD_LIBRARY_PATH=$work/copy" "$work/copy/agentsh-trace")
for mode in auto required off; do
	expect 125 "${user[@]}" --ebpf=$mode --cgroup-parent "$parent" -- sh -c 'echo ran'
	says "Permission denied"
	silent "$work/out"
done

begin "processes that outlive the command stay below PATH"
for mode in traced off; do
	expect 0 in_mode $mode --cgroup-parent "$parent" -- sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'
	orphan=$(cat "$work/out")
	started+=("$orphan")
	says "1 process started by COMMAND is still running"
	grep -qx "0::${parent#"$root"}" "/proc/$orphan/cgroup" || fail "$mode: $(cat "/proc/$orphan/cgroup")"
	kill -KILL "$orphan"
	removed
done

begin "the same if PATH accepts no processes, because its children have controllers"
enabled=
read -r controller _ <"$parent/cgroup.controllers" || true
if [ -z "$controller" ] && read -r controller _ <"$root/cgroup.controllers" && [ -n "$controller" ]; then
	enabled=$controller
	echo "+$enabled" >"$root/cgroup.subtree_control"
fi
if [ -n "$controller" ]; then
	echo "+$controller" >"$parent/cgroup.subtree_control"
	for mode in traced off; do
		expect 0 in_mode $mode --cgroup-parent "$parent" -- sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'
		orphan=$(cat "$work/out")
		started+=("$orphan")
		says "1 process started by COMMAND is still running"
		says "$parent/agentsh-trace."
		grep -q "0::${parent#"$root"}/agentsh-trace\." "/proc/$orphan/cgroup" ||
			fail "$mode: $(cat "/proc/$orphan/cgroup")"
		kill -KILL "$orphan"
		wait_for rmdir "$parent"/agentsh-trace.*
	done
	echo "-$controller" >"$parent/cgroup.subtree_control"
	[ -z "$enabled" ] || echo "-$enabled" >"$root/cgroup.subtree_control"
else
	echo "left out: a parent with controllers: cgroup v2 has none here"
fi

finish

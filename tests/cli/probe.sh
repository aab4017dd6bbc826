#!/usr/bin/env bash
# Checks agentsh-trace --probe, and AGENTSH_EBPF in the environment.
# Usage: probe.sh AGENTSH-TRACE; exit status 77: skipped, not root.
set -euo pipefail

trace=$1
# shellcheck source=tests/cli/fixture.sh
. "$(dirname "${BASH_SOURCE[0]}")/fixture.sh"

start_checks
json() { checked probe_check holds "$work/out" "$1" || fail "$(cat "$work/checked")"; }

expect 0 "$trace" --probe
says "Connections can be traced here." "$work/out"
says "Not reported:" "$work/out"
[ ! -s "$work/err" ] || fail "stderr: $(cat "$work/err")"

expect 0 "$trace" --probe --json
json 'r["usable"] is True and r["reason"] == "" and r["type"] == "ebpf_probe"'
json 'r["cgroup2_path"].startswith("/") and r["cgroup_path"].startswith(r["cgroup2_path"])'
json 'r["kernel"] == __import__("os").uname().release and r["max_sessions"] > 0'
json 'all(c["status"] == "available" for c in r["checks"] if c["required"])'
json 'all(c["detail"] and c["hint"] for c in r["checks"])'
json '"tcp_connect" in c["seen"] and "raw" in c["seen"] and "packet" in c["unseen"]'
json 'len({*c["seen"], *c["implied"], *c["unseen"]}) == len(c["seen"]) + len(c["implied"]) + len(c["unseen"])'
checked probe_check names "$work/out" || fail "$(cat "$work/checked")"
names=$(cat "$work/checked")
[ "$(wc -w <<<"$names")" -ge 20 ] || fail "only these checks: $names"

# What rules close, with the options that are given.
enforced() {
	expect 0 "$trace" --probe --json "${@:2}"
	json "$1"
}
enforced '"tcp_connect" in c["enforced"] and not {"raw", "earlier_connection", "packet"} & {*c["enforced"]}'
enforced '{"tcp_connect", "udp_send"} < {*c["enforced"]} and "raw" not in c["enforced"]' --default=deny
enforced '"raw" in c["enforced"] and "earlier_connection" not in c["enforced"]' --default=deny --strict-sockets
enforced '{"raw", "earlier_connection"} < {*c["enforced"]} and "packet" not in c["enforced"]' --default=deny --egress
enforced 'c["enforced"] == []' --default=deny --egress --audit
AGENTSH_EBPF_SIMULATE_MISSING=sock_create enforced '"raw" not in c["enforced"]' --default=deny --strict-sockets
AGENTSH_EBPF_SIMULATE_MISSING=sendmsg4 enforced 'c["enforced"] == []' --default=deny
expect 0 "$trace" --probe --deny 192.0.2.1 --strict-sockets --egress
says "Paths that rules close with --strict-sockets and --egress:" "$work/out"
expect 0 "$trace" --probe
says "Paths that rules close:" "$work/out"
expect 0 "$trace" --probe --default=deny --audit
! grep -q "rules close" "$work/out" || fail "--audit closes paths: $(cat "$work/out")"

# Each check alone: the report names it, and tracing is impossible only if it is required.
for name in $names; do
	status=0
	AGENTSH_EBPF_SIMULATE_MISSING=$name "$trace" --probe --json >"$work/out" || status=$?
	json "checks['$name']['status'] == 'simulated'"
	json "r['usable'] is not checks['$name']['required'] and r['usable'] is ($status == 0)"
	json "r['usable'] or checks['$name']['hint'][:30] in r['reason']"
	AGENTSH_EBPF_SIMULATE_MISSING=$name "$trace" --probe >"$work/text" || true
	first=$(grep -m 1 -A 1 -E '^(Missing|Found)' "$work/text")
	case $first in
	Missing*"$name"*) ;;
	*) fail "$name is not the first check in the report: $first" ;;
	esac
done

# Really missing capabilities: none, or one of the two required ones.
for caps in none +bpf,+perfmon +net_admin,+perfmon; do
	keep=-all
	[ "$caps" = none ] || keep=-all,$caps
	expect 1 setpriv --bounding-set "$keep" --inh-caps=-all "$trace" --probe --json
	json 'not r["usable"] and "CAP_" in r["reason"] and c["seen"] == []'
	expect 1 setpriv --bounding-set "$keep" --inh-caps=-all "$trace" --probe
	says "Connections cannot be traced here: CAP_" "$work/out"
done
expect 0 setpriv --bounding-set -all,+bpf,+net_admin --inh-caps=-all "$trace" --probe --json
json 'checks["cap_perfmon"]["status"] == "missing" and r["usable"]'

# The environment variables.
expect 125 env AGENTSH_EBPF_SIMULATE_MISSING=btf,nonsense "$trace" --probe
says "'nonsense' is not one of kernel,bpf," "$work/err"
expect 125 env AGENTSH_EBPF=maybe "$trace" true
says "AGENTSH_EBPF is 'maybe'" "$work/err"
expect 3 env AGENTSH_EBPF=off "$trace" --json sh -c 'exit 3'
[ ! -s "$work/err" ] || fail "off prints a message: $(cat "$work/err")"
expect 125 env AGENTSH_EBPF=required AGENTSH_EBPF_SIMULATE_MISSING=ringbuf "$trace" true
says "there is no ring buffer map" "$work/err"
expect 0 env AGENTSH_EBPF=required AGENTSH_EBPF_SIMULATE_MISSING=ringbuf "$trace" --ebpf=auto true
says "running untraced" "$work/err"
expect 0 env AGENTSH_EBPF=off "$trace" --ebpf=required --json true
says '"type":"ebpf_attached"' "$work/err"

expect 125 "$trace" --probe true
says "leave out 'true'" "$work/err"
expect 125 "$trace" --probe --cgroup /
# shellcheck disable=SC2016 # expanded by the inner shell
expect 125 sh -c '"$0" --probe >/dev/full' "$trace"

finish

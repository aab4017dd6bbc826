#!/usr/bin/env bash
# Runs the live tests in virtual machines with the kernels of several Debian releases. The machines
# are emulated, so neither root nor KVM is needed.
#
# Usage: tests/vm/run.sh [--ci | MACHINE...] [--tests NAME,NAME...] [--update-docs]
#   MACHINE        5.10, 6.1, 6.12 or 7 (the newest), with variants: +hybrid, +netcls, +v1, +nobtf,
#                  +lockdown, +preempt, +1cpu, +4cpu, +arm64; for example 6.12+v1. Default: the whole
#                  matrix
#   --ci           only the oldest and the newest kernel, without the slowest tests
#   --tests        only these tests, for example live-event,command. On +arm64, static-event,
#                  static-session and static-command are fully static programs.
#   --update-docs  write the tables of docs/KERNELS.md if nothing failed; not with --ci
#
# AGENTSH_VM_CACHE      directory for the kernels (default: ~/.cache/agentsh-ebpf-vm)
# AGENTSH_VM_JOBS       number of machines that run at the same time (default: number of CPUs)
# AGENTSH_VM_SECONDS    a machine that runs longer is ended
# AGENTSH_VM_START_SECONDS  a machine that has not started by then is started again
# BUILD_ROOT            place of the builds, as in tests/run.sh; logs are in BUILD_ROOT/vm
# Exit status 0: everything passed, or was left out and may be (machines.sh).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=tests/vm/machines.sh
. "$here/machines.sh"
# shellcheck source=tests/vm/report.sh
. "$here/report.sh"
# shellcheck source=tests/vm/guests.sh
. "$here/guests.sh"

root=${BUILD_ROOT:-$top/build}
if [ -z "${BUILD_ROOT:-}" ] && [ "$(id -u)" -ne 0 ]; then
	root=$top/build-$(id -un) # as tests/run.sh
fi
dir=$root/vm
limit_seconds=${AGENTSH_VM_SECONDS:-3300}
jobs=${AGENTSH_VM_JOBS:-$(nproc)}

usage() {
	sed -n '2,/^# Exit status/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

machines=() only='' docs=0
while [ $# -gt 0 ]; do
	case $1 in
	--ci)
		machines+=("${ci_machines[@]}")
		more_skip=$(IFS=, && echo "${ci_skip[*]}")
		;;
	--tests)
		[ $# -ge 2 ] || usage
		only=$2
		shift
		;;
	--update-docs) docs=1 ;;
	-*) usage ;;
	*)
		describe "$1" || usage
		machines+=("$1")
		;;
	esac
	shift
done
[ ${#machines[@]} -gt 0 ] || machines=("${all_machines[@]}")

"$top/cmake/deps.sh" vm
case " ${machines[*]} " in
*+arm64*) "$top/cmake/deps.sh" vm-arm64 ;;
esac
mkdir -p "$dir"

# Downloads come first, once per kernel.
declare -A kernels=() trees=() built=()
for machine in "${machines[@]}"; do
	describe "$machine"
	kernel=${machine%%+*}-$arch
	[ -z "${kernels[$kernel]:-}" ] || continue
	tree=$("$here/packages.sh" "$(suite_of "${machine%%+*}")" "$arch" "linux-image-cloud-$arch")
	trees[$kernel]=$tree
	kernels[$kernel]=$(find "$tree" -name 'vmlinuz*' -type f)
done
for kernel in "${!kernels[@]}"; do
	arch=${kernel##*-}
	[ -n "${built[$arch]:-}" ] || "build_$arch"
	built[$arch]=1
done
# The kernel unpacks one archive after the other.
for kernel in "${!kernels[@]}"; do
	"$here/modules.sh" "${trees[$kernel]}" "$dir/modules-$kernel.cpio"
	cat "$dir/initramfs-${kernel##*-}.cpio" "$dir/modules-$kernel.cpio" >"$dir/initrd-$kernel.cpio"
done

# tests_of MACHINE: the names of its tests, one a line
tests_of() {
	local name names
	describe "$1"
	if [ -n "$only" ]; then
		names=${only//,/$'\n'}
	else
		names=$(cpio -t --quiet <"$dir/initramfs-$arch.cpio" |
			sed -n -e 's,^tests/test-,,p' -e 's,^usr/bin/agentsh-trace$,command,p' \
				-e 's,^usr/bin/agentsh-trace-static$,static-command,p')
	fi
	for name in $names; do
		[[ ,$more_skip, == *",$name,"* ]] || echo "$name"
	done
}
[ -z "$more_skip" ] || echo "left out with --ci: ${more_skip//,/, }"

# Machines run as jobs of this shell, which ends them when it is ended.
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

finish() {
	local tests
	mapfile -t tests < <(tests_of "$1")
	evaluate "$1" "$dir/$1.log" "${tests[@]}" >"$dir/$1.results"
	report_machine "$1" "$dir/$1.results" "$dir/$1.log"
}

declare -A running=() # process id to machine
start=$SECONDS
for machine in "${machines[@]}" ''; do
	while [ ${#running[@]} -ge "$jobs" ] || { [ -z "$machine" ] && [ ${#running[@]} -gt 0 ]; }; do
		wait -n -p ended || true
		finish "${running[$ended]}"
		unset "running[$ended]"
	done
	[ -n "$machine" ] || break
	describe "$machine"
	boot "$machine" "${kernels[${machine%%+*}-$arch]}" "$limit_seconds" "$only"
	running[$!]=$machine
done

results=()
for machine in "${machines[@]}"; do
	results+=("$dir/$machine.results")
done
passed=$(cat "${results[@]}" | grep -c $'\tpass\t') || true
skipped=$(cat "${results[@]}" | grep -c $'\tskip\t') || true
failed=$(cat "${results[@]}" | grep -c $'\tfail\t') || true
if [ "$docs" -eq 1 ] && [ "$failed" -eq 0 ] && [ -z "$more_skip" ]; then
	update_docs "$top/docs/KERNELS.md" "$dir" "${machines[@]}"
fi
echo "virtual machines: ${#machines[@]} in $((SECONDS - start)) s, $skipped left out because the kernel lacks a feature"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

# shellcheck shell=bash
# The machines of the matrix: which kernel, how it starts, and what it may leave out.
# Sourced by run.sh.

# The name of a machine is KERNEL[+VARIANT]...
# shellcheck disable=SC2034 # run.sh uses it
all_machines=(
	7 5.10 6.12 6.1
	5.10+hybrid 6.1+netcls
	5.10+nobtf 7+nobtf
	6.12+lockdown 6.12+preempt
	6.12+v1 7+v1
	6.1+1cpu 7+4cpu
	6.12+arm64
)
# shellcheck disable=SC2034
ci_machines=(7 5.10)
# Left out with --ci, because they repeat for minutes under emulation what other tests do once on
# the same kernel. The whole matrix has them.
# shellcheck disable=SC2034
ci_skip=(live-probe_safe live-fairness live-stuck live-old_resource live-displace
	live-displace_races live-failing live-probe_open live-probe_hosts live-limits)

# The Debian release with this kernel. The kernel of sid changes and is the newest.
suite_of() {
	case $1 in
	5.10) echo bullseye ;;
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	7) echo sid ;;
	*) return 1 ;;
	esac
}

# Sets arch, board, console, cpus and command_line of a machine; fails for an unknown name. The tests
# in more_skip are left out.
more_skip=
# shellcheck disable=SC2034 # guests.sh uses them
describe() {
	local variant variants
	IFS=+ read -r -a variants <<<"$1"
	suite_of "${variants[0]}" >/dev/null || return 1
	arch=amd64 board=q35 console=ttyS0 cpus=2
	local cgroup=v2 netcls=not btf=shown lockdown='' preempt='' skip=''
	for variant in "${variants[@]:1}"; do
		case $variant in
		hybrid | v1) cgroup=$variant ;;
		netcls) cgroup=hybrid netcls=used ;;
		nobtf) btf=hidden ;;
		lockdown) lockdown=lockdown=confidentiality ;;
		preempt) preempt=preempt=full ;;
		arm64) arch=arm64 board=virt console=ttyAMA0 skip=live-fairness ;;
		1cpu) cpus=1 ;;
		4cpu) cpus=4 skip=live-fairness ;;
		*) return 1 ;;
		esac
	done
	# oops=panic: a kernel that stumbles over our programs must not pass
	command_line="quiet loglevel=4 panic=-1 oops=panic rdinit=/init $lockdown $preempt"
	command_line+=" vm_cgroup=$cgroup vm_netcls=$netcls vm_btf=$btf vm_skip=$skip,$more_skip"
}

# What may be left out because the kernel or its configuration lacks it: machines, tests, and the
# reason that the test gives, each a shell pattern. Anything else that a test leaves out is a
# failure.
allowed='
5.10*	live-odd	mptcp* the kernel has no such protocol
5.10*	live-connection_odd	mptcp* the kernel has no such protocol
5.10*	live-odd	ping* the kernel has no hook there
7*	live-odd	udplite* the kernel has no such protocol
5.10*	live-preempted	the kernel has no bpf_preempt_disable()
6.1	live-preempted	the kernel has no bpf_preempt_disable()
6.1+*	live-preempted	the kernel has no bpf_preempt_disable()
5.10*	live-coverage	hooks 0x*: the kernel is older than 6.7
6.1	live-coverage	hooks 0x*: the kernel is older than 6.7
6.1+*	live-coverage	hooks 0x*: the kernel is older than 6.7
*	live-hostile	*: nft cannot add a rule
*	live-hostile	*: ip cannot add a vxlan tunnel
5.10*	live-hostile	*: MPTCP: Protocol not supported
5.10*	live-hostile	*: io_uring makes no sockets
5.10*	live-hostile	*: net.core.optmem_max is not of the namespace
6.1	live-hostile	*: net.core.optmem_max is not of the namespace
6.1+*	live-hostile	*: net.core.optmem_max is not of the namespace
5.10*	live-hostile	*: Landlock has no rules for TCP
6.1	live-hostile	*: Landlock has no rules for TCP
6.1+*	live-hostile	*: Landlock has no rules for TCP
7*	live-hostile	DCCP: the kernel has no such protocol
7*	live-unannounced	DCCP*: the kernel has no such protocol
7*	live-unannounced	UDP-Lite*: the kernel has no such protocol
7*	live-hostile	UDP-Lite connect: the kernel has no such protocol
7*	live-hostile	AF_SMC: the kernel has no such protocol
*+v1*	live-*	no cgroup v2 is mounted
*+nobtf*	live-pidns	the kernel has no BTF
*+nobtf*	live-old_pidns	the kernel has no BTF
*+nobtf*	live-preempted	the kernel has no BTF
*+nobtf*	live-probe_hosts	*the kernel has no BTF
5.10*	live-names_unix	the probe says that the kernel lacks cgroup/connect_unix
6.1	live-names_unix	the probe says that the kernel lacks cgroup/connect_unix
6.1+*	live-names_unix	the probe says that the kernel lacks cgroup/connect_unix
5.10*	live-names_packets	*: the loopback device of this kernel splits the packet
5.10*	live-names_unprivileged	AF_UNIX: the kernel is older than 6.7
6.1	live-names_unprivileged	AF_UNIX: the kernel is older than 6.7
6.1+*	live-names_unprivileged	AF_UNIX: the kernel is older than 6.7
*	live-source_route	nft rules: nft is not installed
*	live-traffic	*nftables at *: no nft
7*	live-traffic	*UDP-Lite*: no UDP-Lite: Protocol not supported
*+lockdown*	live-pidns	the kernel is locked down
*+lockdown*	live-old_pidns	the kernel is locked down
*+lockdown*	live-preempted	the kernel is locked down
*+arm64*	live-fairness	skipped: too heavy for this machine
*+4cpu*	live-fairness	skipped: too heavy for this machine
'

# may_leave_out MACHINE TEST REASON
may_leave_out() {
	local machines tests reason
	while read -r machines tests reason; do
		# shellcheck disable=SC2053 # patterns
		if [[ -n $machines && $1 == $machines && $2 == $tests && $3 == $reason ]]; then
			return 0
		fi
	done <<<"$allowed"
	return 1
}

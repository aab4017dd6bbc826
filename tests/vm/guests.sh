# shellcheck shell=bash disable=SC2154
# Builds what the machines run and boots the machines. Sourced by run.sh, which sets top, here, root
# and dir.

qemu_of() {
	case $1 in
	amd64) echo qemu-system-x86_64 ;;
	arm64) echo qemu-system-aarch64 ;;
	esac
}

# quietly LOG COMMAND...: shows the log if the command fails
quietly() {
	local log=$1
	shift
	if ! "$@" >"$log" 2>&1; then
		tail -n 60 "$log" >&2
		echo "failed: $*" >&2
		return 1
	fi
}

# The build of tests/run.sh, brought up to date.
build_amd64() {
	quietly "$dir/build-amd64.log" cmake -S "$top" -B "$root/main" -G Ninja \
		-DAGENTSH_EBPF_WERROR=ON -DAGENTSH_EBPF_TESTS=ON
	quietly "$dir/build-amd64.log" cmake --build "$root/main"
	"$here/initramfs.sh" "$root/main" "$dir/initramfs-amd64.cpio"
}

# Links with libraries of the Debian release that the cross compiler comes from. Two builds: one of the
# shared library and of programs that use it, one of fully static programs with the archive.
static_tests=(event session)
build_arm64() {
	local release name options
	# shellcheck source=/dev/null
	release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	SYSROOT=$("$here/packages.sh" "$release" arm64 \
		libc6 libc6-dev linux-libc-dev libgcc-s1 libbpf1 libbpf-dev libelf1 libelf-dev \
		zlib1g zlib1g-dev check libsubunit0 libsubunit-dev busybox-static)
	export SYSROOT
	options=(-G Ninja -DCMAKE_TOOLCHAIN_FILE="$here/aarch64.cmake" -DAGENTSH_EBPF_WERROR=ON
		-DAGENTSH_EBPF_TESTS=ON)
	quietly "$dir/build-arm64.log" cmake -S "$top" -B "$root/arm64" "${options[@]}"
	quietly "$dir/build-arm64.log" cmake --build "$root/arm64" \
		--target lib/all examples/all docs/all tests/live/all
	quietly "$dir/build-arm64-static.log" cmake -S "$top" -B "$root/arm64-static" "${options[@]}" \
		-DAGENTSH_EBPF_SHARED=OFF -DCMAKE_EXE_LINKER_FLAGS=-static \
		-DCMAKE_PROJECT_INCLUDE="$here/archives.cmake"
	quietly "$dir/build-arm64-static.log" cmake --build "$root/arm64-static" \
		--target agentsh-trace "${static_tests[@]/#/test-live-}"

	export READELF=aarch64-linux-gnu-readelf STRIP=aarch64-linux-gnu-strip
	links_with "$root/arm64/examples/agentsh-trace" libagentsh-ebpf.so.1
	rm -rf "$dir/static-arm64"
	mkdir -p "$dir/static-arm64/tests" "$dir/static-arm64/usr/bin"
	cp "$root/arm64-static/examples/agentsh-trace" "$dir/static-arm64/usr/bin/agentsh-trace-static"
	links_with "$dir/static-arm64/usr/bin/agentsh-trace-static"
	for name in "${static_tests[@]}"; do
		links_with "$root/arm64/tests/live/test-live-$name" libagentsh-ebpf.so.1
		cp "$root/arm64-static/tests/live/test-live-$name" \
			"$dir/static-arm64/tests/test-static-$name"
		links_with "$dir/static-arm64/tests/test-static-$name"
	done
	BUSYBOX=$SYSROOT/bin/busybox EXTRA=$dir/static-arm64 \
		"$here/initramfs.sh" "$root/arm64" "$dir/initramfs-arm64.cpio"
	unset SYSROOT READELF STRIP
}

# links_with PROGRAM [LIBRARY]: fails unless the program needs this shared library, or without
# LIBRARY, unless it is fully static
links_with() {
	local elf
	elf=$(LC_ALL=C "${READELF:-readelf}" -l -d "$1")
	if [ $# -gt 1 ]; then
		grep -qF "Shared library: [$2]" <<<"$elf" || {
			echo "$1 does not use $2" >&2
			return 1
		}
	elif grep -E 'INTERP|NEEDED' <<<"$elf" >&2; then
		echo "$1 is not fully static" >&2
		return 1
	fi
}

# Now and then an emulated machine hangs before its kernel prints anything. None of our code has run
# by then, so the machine is started again.
starts_max=3
start_seconds=${AGENTSH_VM_START_SECONDS:-240}

# boot MACHINE KERNEL SECONDS TESTS: runs in the background; $! is the process
boot() {
	describe "$1"
	boot_until_started "$@" &
}

boot_until_started() {
	local machine=$1 log=$dir/$1.log start waited qemu=
	trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null; exit 143' TERM
	for ((start = 1; start <= starts_max; start++)); do
		run_qemu "$@" >"$log" 2>&1 &
		qemu=$!
		waited=0
		until grep -aqs VM-KERNEL "$log"; do
			if ! kill -0 "$qemu" 2>/dev/null || [ $((waited += 1)) -gt "$start_seconds" ]; then
				break
			fi
			sleep 1
		done
		if grep -aq VM-KERNEL "$log"; then
			wait "$qemu" || true
			return 0
		fi
		kill "$qemu" 2>/dev/null || true
		wait "$qemu" || true
		cp "$log" "$log.$start"
		echo "$machine: did not start, try $start of $starts_max, see $log.$start" >&2
	done
	return 0
}

# The emulated processors take turns in one thread. With one thread per processor on a busy machine,
# QEMU 7.2 may keep the translation of a breakpoint that the kernel has already patched away, and
# the kernel panics at a static key ("Oops: int3"): 2 of 12 machines that switched static keys in
# live-flowing panicked, but none of 24 with one thread. One thread is not slower if several
# machines share the cores.
run_qemu() {
	local kernel=$2 seconds=$3 tests=$4
	exec timeout --signal=KILL "$seconds" "$(qemu_of "$arch")" \
		-machine "$board" -cpu max -accel tcg,thread=single -smp "$cpus" -m 1G \
		-nodefaults -nographic -no-reboot -serial stdio \
		-kernel "$kernel" -initrd "$dir/initrd-${1%%+*}-$arch.cpio" \
		-append "console=$console $command_line vm_tests=$tests" </dev/null
}

# shellcheck shell=bash
# Turns the logs of the machines into numbers and tables. Sourced by run.sh.

# evaluate MACHINE LOG TEST...: writes lines "test<TAB>status<TAB>why"; the status is pass, skip
# (and allowed to) or fail.
evaluate() {
	local machine=$1 log=$2 test line name status why died
	local -A statuses=() whys=()
	shift 2
	while read -r _ name status why; do
		statuses[$name]=$status whys[$name]=$why
	done < <(lines_of VM-RESULT "$log")
	died=$(lines_of 'Oops:' "$log" | head -n 1)
	died+=${died:+; }$(lines_of 'Kernel panic' "$log" | head -n 1)
	for test; do
		status=${statuses[$test]:-none} why=${whys[$test]:-}
		case $status in
		0) status=pass why= ;;
		77)
			status=skip
			if ! may_leave_out "$machine" "$test" "$why"; then
				status=fail why="skipped: ${why:-no reason given}"
			fi
			;;
		none)
			why="no result: ${died:-the machine hung or died}"
			status=fail
			;;
		*)
			why="exit status $status${why:+, $why}"
			status=fail
			;;
		esac
		# parts of a test, such as one protocol, that were left out
		while read -r _ name line; do
			[ "$name" = "$test" ] || continue
			if ! may_leave_out "$machine" "$test" "$line"; then
				status=fail why="left out: $line"
			elif [ "$status" = pass ]; then
				why+=${why:+; }$line
			fi
		done < <(lines_of VM-LEFT-OUT "$log")
		printf '%s\t%s\t%s\n' "$test" "$status" "$why"
	done
	while read -r _ line; do
		printf 'kernel\tfail\t%s\n' "$line"
	done < <(lines_of VM-COMPLAINT "$log")
}

# lines_of WORD LOG: the guest's lines that begin with the word. The firmware leaves escape codes in
# front of the first line.
lines_of() {
	tr -d '\r' <"$2" | sed -n "s/^.*\\($1 .*\\)/\\1/p"
}

# release_of LOG: the kernel release, and the number of CPUs
release_of() {
	local release cpus
	read -r _ release cpus < <(lines_of VM-KERNEL "$1") || release='(did-not-boot)' cpus=-
	echo "$release $cpus"
}

# report_machine MACHINE RESULTS LOG: a line, the slowest tests, and a line per failure and per
# second try
report_machine() {
	local release cpus passed skipped failed
	read -r release cpus <<<"$(release_of "$3")"
	passed=$(grep -c $'\tpass\t' "$2") || true
	skipped=$(grep -c $'\tskip\t' "$2") || true
	failed=$(grep -c $'\tfail\t' "$2") || true
	printf '%-16s %-28s %s CPU  %2d passed, %2d left out, %2d failed\n' \
		"$1" "$release" "$cpus" "$passed" "$skipped" "$failed"
	lines_of VM-TIME "$3" | sort -k3nr | awk '
		NR <= 8 { slowest = slowest (NR > 1 ? ", " : "") $2 " " $3 }
		{ all += $3 }
		END { if (NR) print "    seconds: " all " in all; " slowest }'
	awk -F'\t' '$2 == "fail" { print "    FAILED " $1 ": " $3 }' "$2"
	second_tries "$1" "$2" "$3" | sed 's/^/    SECOND TRY, a finding to mend: /'
	[ "$failed" -eq 0 ] || echo "    see $3"
}

# second_tries MACHINE RESULTS LOG: tests that failed once and passed when repeated. They are also
# listed in the summary of tests/run.sh.
second_tries() {
	local name
	while read -r _ name; do
		grep -q "^$name"$'\tpass\t' "$2" || continue
		echo "$name ($1)"
		[ -z "${STAGES_DIR:-}" ] || echo "$name (kernel $1)" >>"$STAGES_DIR/second-tries"
	done < <(lines_of VM-AGAIN "$3")
}

# markdown DIR MACHINE...: the tables for docs/KERNELS.md
markdown() {
	local dir=$1 machine release cpus test cell
	shift
	echo '| machine | kernel | CPUs | passed | left out |'
	echo '|---|---|---|---|---|'
	for machine; do
		read -r release cpus <<<"$(release_of "$dir/$machine.log")"
		printf '| %s | %s | %s | %s | %s |\n' "$machine" "$release" "$cpus" \
			"$(grep -c $'\tpass\t' "$dir/$machine.results" || true)" \
			"$(left_out "$dir/$machine.results")"
	done
	echo
	printf '| test |'
	printf ' %s |' "$@"
	printf '\n|---|'
	printf -- '---|%.0s' "$@"
	echo
	while IFS=$'\t' read -r test _; do
		printf '| %s |' "$test"
		for machine; do
			cell=$(awk -F'\t' -v t="$test" '$1 == t { print $2 ($3 == "" ? "" : "*") }' \
				"$dir/$machine.results")
			case $cell in
			'') ;; # no test of this machine
			pass) cell=yes ;;
			'pass*') cell=yes¹ ;;
			skip*) cell=– ;;
			*) cell=NO ;;
			esac
			printf ' %s |' "$cell"
		done
		echo
	done < <(for machine; do cat "$dir/$machine.results"; done | awk -F'\t' '!seen[$1]++')
	echo
	cat <<-'END'
		¹ passed in part; the first table lists what the kernel lacks. –: left out. Empty: not a test of this machine.

		`tests/vm/run.sh` runs the machines under emulation, one processor at a time. A machine has two CPUs and only cgroup v2,
		unless its name says otherwise:

		- `+arm64`: arm64 instead of x86_64. The tests with `static` in their names are fully static programs with the
		  archive; the others use the shared library.
		- `+hybrid`: cgroup v1 beside cgroup v2, which is mounted at `/sys/fs/cgroup/unified`. `+netcls`: in addition, the
		  controller net_cls of cgroup v1 is in use.
		- `+v1`: only cgroup v1. `agentsh-trace` says so and runs its command untraced.
		- `+nobtf`: `/sys/kernel/btf` is hidden. `+lockdown`: with `lockdown=confidentiality` programs may not read the
		  kernel's memory. In both cases events lack `ppid`, `process_start_ns`, `process_comm`, the numbers in PID namespaces
		  and the executable, and MPTCP shows as TCP.
	END
}

# The reasons for what was left out, each once.
left_out() {
	awk -F'\t' '$2 != "fail" && $3 != "" { n = split($3, part, "; ")
		for (i = 1; i <= n; i++) if (!seen[part[i]]++) list = list (list ? "; " : "") part[i] }
		END { print list }' "$1"
}

# update_docs FILE DIR MACHINE...: replaces what is between the two markers
update_docs() {
	local file=$1 new
	shift
	if ! grep -q 'matrix begin' "$file" || ! grep -q 'matrix end' "$file"; then
		echo "$file lacks the markers of the matrix" >&2
		return 1
	fi
	new=$(mktemp)
	{
		sed '/<!-- matrix begin -->/q' "$file"
		markdown "$@"
		sed -n '/<!-- matrix end -->/,$p' "$file"
	} >"$new"
	cat "$new" >"$file"
	rm "$new"
}

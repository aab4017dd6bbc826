# shellcheck shell=bash
# What the machines said, as numbers and tables. Sourced by run.sh.

# evaluate MACHINE LOG TEST...: writes "test<TAB>status<TAB>why" lines, status being
# pass, skip (allowed to) or fail.
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
		# parts of a test, such as one protocol
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

# The lines of the guest with this first word. The firmware leaves escape codes
# in front of the first one.
lines_of() {
	tr -d '\r' <"$2" | sed -n "s/^.*\\($1 .*\\)/\\1/p"
}

# release_of LOG: as uname says, and the number of CPUs
release_of() {
	local release cpus
	read -r _ release cpus < <(lines_of VM-KERNEL "$1") || release='(did-not-boot)' cpus=-
	echo "$release $cpus"
}

# report_machine MACHINE RESULTS LOG: a line, and one more for each failure
report_machine() {
	local release cpus passed skipped failed
	read -r release cpus <<<"$(release_of "$3")"
	passed=$(grep -c $'\tpass\t' "$2") || true
	skipped=$(grep -c $'\tskip\t' "$2") || true
	failed=$(grep -c $'\tfail\t' "$2") || true
	printf '%-16s %-28s %s CPU  %2d passed, %2d left out, %2d failed\n' \
		"$1" "$release" "$cpus" "$passed" "$skipped" "$failed"
	awk -F'\t' '$2 == "fail" { print "    FAILED " $1 ": " $3 }' "$2"
	lines_of VM-AGAIN "$3" | sed 's/VM-AGAIN/    a second try:/'
	[ "$failed" -eq 0 ] || echo "    see $3"
}

# markdown DIR MACHINE...: the tables for docs/SUPPORT.md
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
			pass) cell=yes ;;
			'pass*') cell=yes¹ ;;
			skip*) cell=– ;;
			*) cell=NO ;;
			esac
			printf ' %s |' "$cell"
		done
		echo
	done <"$dir/$1.results"
	echo
	cat <<-'END'
		¹ in part: what is left out is in the first table. –: left out.

		Emulated, with `tests/vm/run.sh`; processors take turns. A machine has two CPUs and cgroup v2 alone, unless its name
		says otherwise:

		- `+hybrid`: cgroup v1 beside v2, which is at `/sys/fs/cgroup/unified`; `+netcls`: v1's net_cls is in use, too
		- `+v1`: cgroup v1 alone; `agentsh-trace` says so and runs its command untraced
		- `+nobtf`: `/sys/kernel/btf` is hidden; `+lockdown`: `lockdown=confidentiality`, programs may not read the
		  kernel's memory. Both: events come without `ppid`, `process_start_ns`, `ns_pid` and `ns_tgid`, and MPTCP shows as TCP
	END
}

# Reasons, each once
left_out() {
	awk -F'\t' '$2 != "fail" && $3 != "" { n = split($3, part, "; ")
		for (i = 1; i <= n; i++) if (!seen[part[i]]++) list = list (list ? "; " : "") part[i] }
		END { print list }' "$1"
}

# update_docs FILE DIR MACHINE...: between the two marks
update_docs() {
	local file=$1 new
	shift
	new=$(mktemp)
	{
		sed '/<!-- matrix begin -->/q' "$file"
		markdown "$@"
		sed -n '/<!-- matrix end -->/,$p' "$file"
	} >"$new"
	cat "$new" >"$file"
	rm "$new"
}

# shellcheck shell=bash
# Runs the stages of tests/run.sh, each with a time limit, and prints the table at the end.
# Sourced by run.sh.
#
# A stage that takes longer than its limit is ended and fails; the run continues with the next
# stage. All stages together take no more than stages_budget seconds.

# shellcheck disable=SC2034 # run.sh reads it
stages_failed=0
stages_budget=${STAGES_BUDGET:-4500} # .ci/run may take 90 minutes; building tools and cleaning up are extra
stages_dir= # logs, and one file per stage with "NAME<TAB>SECONDS<TAB>RESULT"
stages_count=0
declare -A stages_beside=() # names of stages in the background, by process id
stages_current=             # process group of the stage in the foreground

stages_begin() { # DIRECTORY
	stages_dir=$1
	rm -rf "$stages_dir"
	mkdir -p "$stages_dir"
	export STAGES_DIR=$stages_dir # for second tries in virtual machines
	trap stages_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# A process and all that it has started, also in other process groups, as timeout(1) does.
stages_tree() {
	local child
	echo "$1"
	for child in $(ps -o pid= --ppid "$1"); do
		stages_tree "$child"
	done
}

# Ends a stage: its processes get SIGTERM, and SIGKILL if that does not help.
stages_kill() {
	local pids tenths
	mapfile -t pids < <(stages_tree "$1")
	kill -TERM "${pids[@]}" 2>/dev/null || true
	for ((tenths = 0; tenths < 200; tenths++)); do
		kill -0 -- "-$1" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "${pids[@]}" 2>/dev/null || true
}

# stages_limited NAME SECONDS RESULT-FILE COMMAND...: runs the command, which may be a function,
# in a process group and records the result; fails if the command does. "set -e" has no effect in
# the function, because stages are started in conditions, so it must check each status itself.
stages_limited() {
	local name=$1 limit=$2 result=$3 begin=$SECONDS status=0 verdict=passed left
	shift 3
	left=$((stages_budget - SECONDS))
	[ "$limit" -le "$left" ] || limit=$left
	if [ "$limit" -le 0 ]; then
		echo "stage \"$name\" was not started: the run has used up its $stages_budget s"
		printf '%s\t0\tNOT STARTED, no time left\n' "$name" >"$result"
		return 1
	fi
	# Replaced at the end of the stage. If the run is ended before, the table names the stage.
	printf '%s\t-\tINTERRUPTED\n' "$name" >"$result"
	set -m
	("$@") </dev/null &
	stages_current=$!
	set +m
	while kill -0 "$stages_current" 2>/dev/null; do
		if [ $((SECONDS - begin)) -ge "$limit" ]; then
			stages_kill "$stages_current"
			echo "stage \"$name\" was ended after $limit s"
			verdict="ENDED at its limit of $limit s"
			break
		fi
		sleep 0.2
	done
	wait "$stages_current" 2>/dev/null || status=$?
	stages_current=
	[ "$status" -eq 0 ] || [ "$verdict" != passed ] || verdict=FAILED
	printf '%s\t%s\t%s\n' "$name" $((SECONDS - begin)) "$verdict" >"$result"
	[ "$verdict" = passed ]
}

stages_result_file() {
	stages_count=$((stages_count + 1))
	printf -v REPLY '%s/%02d.result' "$stages_dir" "$stages_count"
}

# stage NAME SECONDS COMMAND...
stage() {
	local name=$1 limit=$2
	shift 2
	echo "== $name"
	stages_result_file
	stages_limited "$name" "$limit" "$REPLY" "$@" && return 0
	stages_failed=1
	return 1
}

# The same beside the stages that follow, until stages_join. The output is shown then.
stage_beside() { # NAME SECONDS COMMAND...
	local name=$1 limit=$2 result
	shift 2
	echo "== $name (beside the next stages)"
	stages_result_file
	result=$REPLY
	(
		trap - EXIT
		# shellcheck disable=SC2154 # assigned by stages_limited
		trap '[ -z "$stages_current" ] || stages_kill "$stages_current"; exit 143' TERM
		trap '' INT
		stages_limited "$name" "$limit" "$result" "$@"
	) >"${result%.result}.log" 2>&1 &
	stages_beside[$!]=$name:${result%.result}.log
}

# Waits for all stages in the background.
stages_join() {
	local pid log
	for pid in "${!stages_beside[@]}"; do
		log=${stages_beside[$pid]#*:}
		# The file has the result: bash forgets the status of a process whose number is used again.
		wait "$pid" 2>/dev/null || true
		grep -q $'\tpassed$' "${log%.log}.result" || stages_failed=1
		echo "== ${stages_beside[$pid]%%:*}: finished"
		cat "$log"
		unset "stages_beside[$pid]"
	done
}

# Prints the table, however the run ended.
stages_end() {
	local status=$? pid file
	trap - EXIT
	[ -z "$stages_current" ] || stages_kill "$stages_current"
	for pid in "${!stages_beside[@]}"; do
		kill -TERM "$pid" 2>/dev/null || true
	done
	for pid in "${!stages_beside[@]}"; do
		wait "$pid" 2>/dev/null || true
		echo "== ${stages_beside[$pid]%%:*}: ended"
		cat "${stages_beside[$pid]#*:}"
	done
	echo
	printf '%-34s %7s  %s\n' stage seconds result
	for file in "$stages_dir"/*.result; do
		[ -e "$file" ] || continue
		awk -F'\t' '{ printf "%-34s %7s  %s\n", $1, $2, $3 }' "$file"
	done
	printf '%-34s %7d\n' 'in all (stages overlap)' "$SECONDS"
	if [ -s "$stages_dir/skipped" ]; then
		echo "skipped tests:"
		sort -u "$stages_dir/skipped" | sed 's/^/  /'
	fi
	if [ -s "$stages_dir/second-tries" ]; then
		echo "SECOND TRIES: these tests failed once and passed when repeated. Each is a finding to mend:"
		sort -u "$stages_dir/second-tries" | sed 's/^/  /'
	fi
	if [ -s "$stages_dir/failures" ]; then
		echo "failures:"
		sed 's/^/  /' "$stages_dir/failures"
	fi
	exit "$status"
}

# run_ctest BUILD-DIRECTORY CTEST-OPTIONS...: runs tests, and failed ones a second time, because
# other load may outlast a test's deadline. Second tries, skipped tests and failures are kept for the
# end of the output.
run_ctest() {
	local build=$1 log status=0
	shift
	log=$(mktemp "$stages_dir/ctest.XXXXXX")
	ctest --test-dir "$build" --output-on-failure --no-tests=error --repeat until-pass:2 "$@" 2>&1 |
		tee "$log" || status=$?
	# lines such as " 3/75 Test  #3: unit-fd .....***Failed  0.24 sec"
	sed -nE 's/^.*Test +#[0-9]+: ([^ ]+) \.*( *)(\*\*\*)?([A-Za-z][A-Za-z ]*[a-z]).*$/\1 \4/p' "$log" |
		awk -v build="${build##*/}" -v dir="$stages_dir" '
		$2 == "Skipped" { print $1 " (" build ")" >>(dir "/skipped"); next }
		$2 != "Passed" { failed[$1] = 1; next }
		$1 in failed { print $1 " (" build ")" >>(dir "/second-tries"); delete failed[$1] }
		END { for (name in failed) print name " (" build ")" >>(dir "/failures") }'
	return "$status"
}

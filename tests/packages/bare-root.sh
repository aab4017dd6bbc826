#!/usr/bin/env bash
# Runs the two commands of README.md, examples/quickstart.sh and tests/run.sh, in a minimal system of
# Debian, with a copy of the last commit. They install what they need; all that is discarded.
#
# Usage: bare-root.sh SUITE [--quickstart | --quick | --full]
#   --quickstart  only examples/quickstart.sh
#   --quick       then tests/run.sh --quick (default)
#   --full        then tests/run.sh
# BUILD_ROOT=DIR is the place of the copy (default: build/).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)

what=${2:---quick}
case $#:$what in
1:* | 2:--quickstart | 2:--quick | 2:--full) suite=$1 ;;
*)
	sed -n '2,/^# BUILD_ROOT/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac

mkdir -p "${BUILD_ROOT:-$top/build}"
dir=$(cd "${BUILD_ROOT:-$top/build}" && pwd)/packages/bare-$suite
root=$("$here/root.sh" "$suite")
trap 'rm -rf "$dir"' EXIT
rm -rf "$dir"
mkdir -p "$dir"
git -C "$top" archive HEAD | tar -x -C "$dir"

commands='examples/quickstart.sh'
case $what in
--quick) commands+=' && tests/run.sh --quick' ;;
--full) commands+=' && tests/run.sh' ;;
esac
# shellcheck disable=SC2016 # expanded by the inner shell
"$here/enter.sh" "$root" "$dir" -- sh -c 'cd "$1" && eval "$2"' sh "$dir" "$commands"

#!/usr/bin/env bash
# Runs in a root of Debian with the tools that Debian's packages need: makes the packages of what
# build.sh has built, twice, and checks that they are the same.
# Usage: package.sh DIRECTORY
# The packages are in DIRECTORY/packages afterwards.
set -euo pipefail

cd "$1"

fail() {
	echo "package.sh: $*" >&2
	exit 1
}

# scdoc is here, so there are manual pages now.
{ cmake build && cmake --build build; } >package.log 2>&1 || fail "the build failed: $(tail -n 40 package.log)"

package() { # DIRECTORY
	(cd build && cpack -B "$1") >package.log 2>&1 || fail "cpack: $(cat package.log)"
	rm -rf "$1/_CPack_Packages"
}
package "$PWD/packages"
# A directory named bin has the programs in a package, but here it is above the package.
(
	umask 077
	package "$PWD/bin/again"
)
[ "$(find packages -name '*.deb' | wc -l)" -eq 3 ] || fail "there are not three packages: $(ls packages)"
for package in packages/*; do
	cmp "$package" "bin/again/${package##*/}" || fail "two runs of cpack make different packages"
done
rm -rf bin

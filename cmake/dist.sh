#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the source archive. The same source gives the same bytes: names are sorted, and owners,
# modes and times are fixed.
# Usage: dist.sh SOURCE-DIRECTORY SKELETON-DIRECTORY ARCHIVE
#   ARCHIVE is NAME.tar.gz and contains the directory NAME
#
# The files are those that git knows, or those of MANIFEST in a source archive that was unpacked.
# The time is SOURCE_DATE_EPOCH, or else that of the last commit or of MANIFEST.
set -euo pipefail
export LC_ALL=C

source=$(cd "$1" && pwd)
skeletons=$(cd "$2" && pwd)
archive=$(cd "$(dirname "$3")" && pwd)/$(basename "$3")
name=$(basename "$archive" .tar.gz)

work=$(mktemp -d)
new=$archive.$$ # beside the archive, for a rename that replaces it at once
trap 'rm -rf "$work" "$new"' EXIT
tree=$work/$name
mkdir "$tree"

cd "$source"
if [ -e .git ]; then
	git=(git -c "safe.directory=$source")
	# A file that was deleted but not committed is still listed.
	"${git[@]}" ls-files -z | while IFS= read -r -d '' file; do
		if [ -e "$file" ] || [ -L "$file" ]; then
			printf '%s\n' "$file"
		fi
	done >"$work/files"
	epoch=${SOURCE_DATE_EPOCH:-$("${git[@]}" log -1 --format=%ct)}
elif [ -e MANIFEST ]; then
	grep -v '^bpf/generated/' MANIFEST >"$work/files"
	epoch=${SOURCE_DATE_EPOCH:-$(stat -c %Y MANIFEST)}
else
	echo "dist.sh: $source is neither a git checkout nor an unpacked source archive (no MANIFEST)" >&2
	exit 1
fi
tar -cf - --no-recursion -T "$work/files" | tar -xf - -C "$tree"

mkdir "$tree/bpf/generated"
for program in agentsh agentsh_task agentsh_kfuncs; do
	cp "$skeletons/$program.skel.h" "$tree/bpf/generated"
done
# In the order of CMake's file(GLOB)
(cd "$tree/bpf" && printf '%s\n' *.c *.h | sort | xargs sha256sum -- >generated/SHA256SUMS)
(cd "$tree" && find . -type f -o -type l) | sed 's,^\./,,' | sort >"$work/manifest"
cp "$work/manifest" "$tree/MANIFEST"

tar -C "$work" --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" \
	--mode=u+rw,go-w,a+rX -cf - "$name" | gzip -9n >"$new"
mv "$new" "$archive"
echo "$archive"

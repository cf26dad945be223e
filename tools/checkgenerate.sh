#!/bin/sh
# Fails if the generated code in the tree is not what generating writes. It is what `make checkgenerate` runs, from the
# top of the repository. It generates into a directory of its own: a check that mended the tree would pass the second
# time, and let every other check see code that is not in the commit.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bin/buf generate -o "$work/new"
(cd "$work/new" && find . -name '*.pb.go' | sort) >"$work/want"
# The .proto files of other places are not buf.yaml's; a test compares what is generated of those.
sed -n 's/^ *- path: //p' buf.yaml | while IFS= read -r module; do
	find "./$module" -name '*.pb.go'
done | sort >"$work/have"
[ -s "$work/want" ] || { echo "checkgenerate: nothing was generated" >&2; exit 1; }

stale=0
say() {
	echo "checkgenerate: $*; run make generate" >&2
	stale=1
}
while IFS= read -r file; do
	[ -f "$file" ] || { say "$file is missing"; continue; }
	cmp -s "$file" "$work/new/$file" || say "$file is not what is generated now"
done <"$work/want"
while IFS= read -r file; do
	[ -f "$work/new/$file" ] || say "$file is generated no more; remove it"
done <"$work/have"
exit "$stale"

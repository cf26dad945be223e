#!/bin/sh
# Runs each fuzz target of the given packages for a time: fuzz.sh TIME PACKAGE… It is what `make fuzz` runs, from the
# top of the repository. It fails if a target does, if a package cannot be listed or its tests do not compile, and if
# there is no target at all: then nothing has been fuzzed.
set -eu
time=$1
shift

packages=$(go list "$@")
fuzzed=0
for package in $packages; do
	targets=$(go test -list '^Fuzz' "$package") || { echo "$targets"; exit 1; }
	for target in $(echo "$targets" | grep '^Fuzz' || true); do
		echo "== $target in $package for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
		fuzzed=$((fuzzed + 1))
	done
done
[ "$fuzzed" -gt 0 ] || { echo "fuzz: there is no fuzz target in $*" >&2; exit 1; }
echo "$fuzzed fuzz targets, each for $time"

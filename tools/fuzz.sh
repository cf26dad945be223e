#!/bin/sh
# Runs each fuzz target of the given packages for a time: fuzz.sh TIME PACKAGE… It is what `make fuzz` runs, from the
# top of the repository. It fails if a target does, if a package cannot be listed or its tests do not compile, and if
# there is no target at all: then nothing has been fuzzed.
set -eu
time=$1
shift

output=$(mktemp)
trap 'rm -f "$output"' EXIT

# fuzz TARGET PACKAGE. When the time is over while a worker is at it, go test can fail by that alone (golang/go#75804,
# mended in Go 1.27). Then no input has failed, and it runs again.
fuzz() {
	for _ in 1 2 3; do
		code=0
		go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" "$2" >"$output" 2>&1 || code=$?
		cat "$output"
		[ "$code" -ne 0 ] || return 0
		grep -q '^    context deadline exceeded$' "$output" && ! grep -q 'Failing input' "$output" || return "$code"
		echo "== once more: the time was over, and no input has failed"
	done
	return "$code"
}

packages=$(go list "$@")
fuzzed=0
for package in $packages; do
	targets=$(go test -list '^Fuzz' "$package") || { echo "$targets"; exit 1; }
	for target in $(echo "$targets" | grep '^Fuzz' || true); do
		echo "== $target in $package for $time"
		fuzz "$target" "$package"
		fuzzed=$((fuzzed + 1))
	done
done
[ "$fuzzed" -gt 0 ] || { echo "fuzz: there is no fuzz target in $*" >&2; exit 1; }
echo "$fuzzed fuzz targets, each for $time"

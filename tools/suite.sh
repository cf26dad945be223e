#!/bin/sh
# Runs go test -v with the given arguments, and leaves out of its output what has passed, but for the sums. It is what
# the suites of the Makefile are run by. It fails as go test does, and if a package has no test that has passed: a suite
# whose tests are gone, or skipped, or do not match, has shown nothing.
{
	go test -count=1 -v "$@"
	echo "suite.sh: exit code $?"
} | awk '
	/^suite\.sh: exit code / { code = $NF; next }
	/^--- PASS: / { passed++ }
	/^ *(=== |--- PASS)/ { next }
	{ print; fflush() }
	/^ok / { packages++; if (!passed) { empty = 1; print "FAIL: no test of " $2 " has passed" }; passed = 0 }
	/^FAIL/ { passed = 0 }
	END {
		if (code == "") { print "FAIL: go test has not ended"; exit 1 }
		if (code == 0 && !packages) print "FAIL: no test has run"
		exit code != 0 || empty || !packages
	}'

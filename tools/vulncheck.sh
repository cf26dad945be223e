#!/bin/sh
# Looks up known vulnerabilities in the modules in the given directories; without any, in all of this repository but the
# tools. It is what `make vulncheck` runs, from the top of the repository.
#
# GOGREETER_VULNDB is the URL of the database, in place of that of the Go project: file:///DIR for a directory with an
# unpacked vulndb.zip, where there is no network.
#
# It exits with 0 if there are none, and with 3 if the database cannot be reached: then nothing has been checked. Any
# other code is a vulnerability, or a failure.
set -u
top=$PWD
database=${GOGREETER_VULNDB:-https://vuln.go.dev}
if [ $# -eq 0 ]; then
	set -- $(find . -name go.mod ! -path './tools/*' ! -path '*/testdata/*' -exec dirname {} \; | sort)
	[ $# -gt 0 ] || { echo "vulncheck: there is no module here" >&2; exit 1; }
fi
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
for module; do
	echo "== govulncheck in $module"
	(case $module in ./interop) export GOWORK=off ;; esac; cd "$module" && "$top/bin/govulncheck" -db "$database" ./...) 2>"$errors" && continue
	status=$?
	cat "$errors" >&2
	case $database in
	http*)
		if grep -q -e 'fetching vulnerabilities' -e 'unrecognized vulndb format' "$errors"; then
			echo "NOT CHECKED for known vulnerabilities: $database cannot be reached; GOGREETER_VULNDB names another database" >&2
			exit 3
		fi
		;;
	esac
	[ "$status" -eq 3 ] && exit 1 # what govulncheck says if it has found something
	exit "$status"
done

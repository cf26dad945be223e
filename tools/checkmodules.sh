#!/bin/sh
# Looks after the modules in the given directories: fails if a go.mod or go.sum is not tidy, or a downloaded module is not what it
# was. It is what `make checkmodules` runs, from the top of the repository.
#
# It works without go.work, as the users of a published module do, and so has each published module compile: one without a
# replace for others of this repository. What such a module requires of those has no version yet; it gets a replace in a copy of
# its go.mod.
set -eu
export GOWORK=off
top=$PWD
root=github.com/gogreeter/gogreeter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for module; do
	cd "$top/$module"
	cp go.mod "$work/go.mod"
	rm -f "$work/go.sum"
	[ ! -f go.sum ] || cp go.sum "$work/go.sum"
	copy=-modfile=$work/go.mod
	if grep -q "^replace $root " go.mod; then
		published=
	else
		published=yes
		if grep -q "^	$root v0.0.0$" go.mod; then
			go mod edit -replace="$root=$top" "$work/go.mod"
		fi
	fi
	echo "== go mod tidy -diff and go mod verify in $module"
	go mod tidy -diff "$copy"
	go mod verify "$copy"
	if [ "$module" != tools ] && [ -n "$published" ]; then
		echo "== go vet in $module, without go.work"
		go vet "$copy" ./...
	fi
done

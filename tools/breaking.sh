#!/bin/sh
# Fails if the .proto files break users of those in a revision, which is the argument. It is what `make breaking` runs,
# from the top of the repository.
set -eu
against=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# buf clones a repository that it compares with, which does not work in a worktree, nor where git doesn't trust the
# directory. A revision that is not there has to be a failure here: buf would have nothing to compare with.
git -c safe.directory='*' archive --format=tar -o "$work/before.tar" "$against" ||
	{ echo "breaking: there is no revision $against to compare with; AGAINST names another" >&2; exit 1; }
bin/buf breaking --against "$work/before.tar"

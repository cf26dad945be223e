#!/bin/sh
# Generates the code of all .proto files, builds the helloworld server and its client with it, starts the server on a free
# port, calls it in all four cardinalities, and stops it. Run by make demo, from the top of the repository. Ends with 0
# only if all of that worked. It changes nothing in the tree: what is generated lies in a directory of its own, and is
# laid over the tree's (go help build, -overlay).
set -eu

work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "demo: $*" >&2
	exit 1
}

echo "== buf generate"
bin/buf generate -o "$work/generated"
(cd "$work/generated" && find . -name '*.pb.go') >"$work/files"
[ -s "$work/files" ] || fail "nothing was generated"
sed "s|^\./\(.*\)|\"$PWD/\1\": \"$work/generated/\1\"|; \$! s|\$|,|" "$work/files" >"$work/replacements"
{ echo '{"Replace": {' && cat "$work/replacements" && echo '}}'; } >"$work/overlay.json"

echo "== go build greeter_server, greeter_client"
go build -overlay "$work/overlay.json" -o "$work/" ./example/helloworld/greeter_server
go build -C example/helloworld/greeter_client -overlay "$work/overlay.json" -o "$work/" .

echo "== greeter_server -addr 127.0.0.1:0"
"$work/greeter_server" -addr 127.0.0.1:0 >"$work/output" &
server=$!
until grep -q '^listening on ' "$work/output"; do
	kill -0 "$server" 2>/dev/null || fail "the server has ended"
	sleep 0.1
done
cat "$work/output"
address=$(sed -n 's/^listening on //p' "$work/output")

echo "== greeter_client -addr $address Ada Grace Barbara"
"$work/greeter_client" -addr "$address" Ada Grace Barbara

echo "== stop the server"
kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
[ "$code" -eq 0 ] || fail "the server ended with exit code $code"
echo "It has finished its RPCs and ended with exit code 0."

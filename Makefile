# The commands of everyday work. They need Go 1.26 or newer, git and make; tests whose peer is missing say so and are skipped.

MODULES := . example/helloworld/greeter_client example/route_guide/route_guide_client runtime/interceptor/validate interop bench bench/codegen
TOOLS   := GOWORK=off go build -modfile=tools/go.mod -o bin/

# What precedes commands in modules that are not in go.work, of which interop is one.
APART := GOWORK=off

# Builds need no stamp of the commit, and must work where git doesn't trust the directory.
export GOFLAGS := $(shell go env GOFLAGS) -buildvcs=false

# The race detector needs a C compiler. Without one Go sets CGO_ENABLED to 0, and the tests run without it.
RACE := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

# How long each fuzz target, the soak and the search for attacks run, and how many rounds a benchmark takes.
T      ?= 30s
ROUNDS ?= 5

# Packages of tests that have a target of their own, and are no part of make test.
SUITES := /interop/(parity|h2spec|conformance|grpcinterop|restarts|faults)$$

# Systems that the root module has to build on, tests included, beside the one it is built on. Of systems that differ in
# nothing that matters here there is one.
PLATFORMS := windows/amd64 darwin/arm64 freebsd/amd64 plan9/amd64 js/wasm linux/386

# Which packages make fuzz looks for targets in.
FUZZ ?= ./...

# Which part of the mutants runs: i/n is every n-th of them, from the i-th on.
PART ?= 1/1

.PHONY: all
all: test lint checkgenerate ## everything that must pass before a commit

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: bin/buf ## .proto in, a server out: generate, build, serve, call in all four cardinalities
	@sh example/demo.sh

.PHONY: test
test: notices ## run the tests of all modules, but for the suites below, with the race detector
	@for module in $(MODULES); do \
		echo "== go test $(RACE) ./... in $$module"; \
		(cd $$module && case $$module in interop) export $(APART);; esac && go vet ./... && packages=$$(go list ./...) && \
			packages=$$(echo "$$packages" | grep -vE '$(SUITES)') && go test $(RACE) -timeout 20m $$packages) || exit 1; \
	done

.PHONY: parity
parity: notices ## play the behaviors of grpc-python's server against both servers, with both clients
	cd interop && $(APART) sh ../tools/suite.sh $(RACE) -timeout 20m ./parity

.PHONY: h2spec
h2spec: ## play all cases of h2spec against the example server, over h2c and TLS; and for comparison against others
	cd interop && $(APART) sh ../tools/suite.sh $(RACE) -timeout 20m ./h2spec

.PHONY: conformance
conformance: notices ## play the gRPC conformance suite against a server on the runtime; and for comparison against grpc-go
	cd interop && $(APART) sh ../tools/suite.sh $(RACE) -timeout 20m ./conformance/...

.PHONY: interop
interop: notices ## play gRPC's interop tests, by grpc-go's client and grpc-python, against a server on the runtime
	cd interop && $(APART) sh ../tools/suite.sh $(RACE) -timeout 20m ./grpcinterop/...

.PHONY: restarts
restarts: notices ## exchange servers under load, directly and behind nginx and HAProxy; no RPC may fail
	cd interop && $(APART) sh ../tools/suite.sh $(RACE) -timeout 20m ./restarts

.PHONY: faults
faults: notices ## no descriptors, stopped servers, killed clients, 10,000 connections, 100,000 RPCs at a time, 1,000,000 in all
	cd interop && $(APART) sh ../tools/suite.sh $(RACE) -timeout 20m ./faults

.PHONY: attacks
attacks: ## attacks on servers of other kinds; what a connection may hold and cost, by cases and by a search for T (30s)
	sh tools/suite.sh -timeout 30m ./runtime/internal/attack -kinds companions,workers,wrapped,tls -search $(T)

.PHONY: mutants
mutants: ## make the code wrong in one place at a time: tests have to notice (PART=i/n runs every n-th, ONLY those that match)
	go run ./internal/mutants -part $(PART) -only '$(ONLY)'

.PHONY: soak
soak: ## mixed load for T (30s): nothing may grow, and each call is accounted for
	cd interop && $(APART) go run ./soak -time $(T)

.PHONY: lockorder
lockorder: ## run the runtime's quick tests in a build that checks in which order mutexes are taken (ONLY those that match)
	go test -short -tags lockorder -run '$(ONLY)' ./runtime/...

.PHONY: short
short: notices ## run the quick tests of the root module
	go test -short $(RACE) ./...

# go test doesn't show what was skipped unless it shows everything.
.PHONY: notices
notices: ## say what is missing on this machine, and what that means for the tests
	@test -n "$(RACE)" || echo "no C compiler: the tests run without the race detector"
	@for peer in protoc h2load nginx haproxy; do \
		PATH=$$PATH:/usr/sbin command -v $$peer >/dev/null || echo "no $$peer: the tests that need it are skipped"; \
	done
	@{ python3 -c 'import grpc' || /usr/bin/python3 -c 'import grpc'; } 2>/dev/null || \
		echo "no grpc-python: the tests that need it are skipped"

.PHONY: lint
lint: bin/gofumpt bin/staticcheck ## look for what vet, gofumpt and staticcheck complain about
	@unformatted=$$(find . -name '*.go' ! -name '*.pb.go' -print0 | xargs -0 bin/gofumpt -l) && \
		if [ -n "$$unformatted" ]; then echo "run gofumpt on:"; echo "$$unformatted"; exit 1; fi
	@for module in $(MODULES); do \
		echo "== vet and staticcheck in $$module"; \
		(cd $$module && case $$module in interop) export $(APART);; esac && go vet ./... && "$(CURDIR)/bin/staticcheck" ./...) || exit 1; \
	done

.PHONY: platforms
platforms: ## build and vet the root module for other systems
	@for platform in $(PLATFORMS); do \
		echo "== go vet ./... for $$platform"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} go vet ./... || exit 1; \
	done

.PHONY: generate
generate: bin/buf ## write the Go code of all .proto files, by buf, protoc-gen-go and protoc-gen-gogreeter
	@echo "== buf generate"
	@bin/buf generate

.PHONY: checkgenerate
checkgenerate: bin/buf ## fail if the generated code is not what generating writes
	@sh tools/checkgenerate.sh

.PHONY: checkchecks
checkchecks: ## have the checks above and below fail, each on a copy of the tree that is damaged in its way
	go test -count=1 -v -timeout 40m -run TestChecks_ ./internal/modules -damage

.PHONY: lint-proto
lint-proto: bin/buf ## look for what buf complains about in the .proto files
	bin/buf lint

.PHONY: breaking
breaking: bin/buf ## fail if options.proto breaks users of what was promised: the copy in tools/promised
	bin/buf breaking runtime/options --against tools/promised

.PHONY: api
api: ## list the exported API in api/*.txt; a test fails where they differ
	go run ./internal/api

.PHONY: checkmodules
checkmodules: ## fail if a go.mod or go.sum is not tidy, a module is not what it was, or a published one needs go.work
	@sh tools/checkmodules.sh $(MODULES) tools

.PHONY: vulncheck
vulncheck: bin/govulncheck ## look for known vulnerabilities; needs the Go vulnerability database (GOGREETER_VULNDB names a copy)
	@sh tools/vulncheck.sh

.PHONY: fuzz
fuzz: ## run each fuzz target of the root module for T (30s)
	@sh tools/fuzz.sh $(T) $(FUZZ)

SMALL = ^unary small, [0-9]* x [0-9]*$$

.PHONY: bench-quick
bench-quick: ## compare CPU per RPC with grpc-go under h2load, in ROUNDS (5) rounds
	cd bench && go run ./compare -rounds $(ROUNDS) -servers gogreeter,grpc-go -only '$(SMALL)'

.PHONY: bench
bench: ## compare with grpc-go, connect-go, gRPC C++ and grpc-python in all scenarios, in ROUNDS (5) rounds
	mkdir -p bin
	cd bench && go run ./compare -rounds $(ROUNDS) -save ../bin/bench.json -markdown ../bin/performance.md -plots ../bin/plots

# Three rounds take less than half an hour.
.PHONY: bench-docs
bench-docs: ROUNDS = 3
bench-docs: ## the same, in ROUNDS (3) rounds, into docs/performance.md, between its markers, and docs/plots
	mkdir -p bin
	rm -f docs/plots/*.svg
	cd bench && go run ./compare -rounds $(ROUNDS) -save ../bin/bench.json -markdown ../docs/performance.md -plots ../docs/plots

.PHONY: bench-tricks
bench-tricks: ## measure what each trick of the runtime gains, into docs/performance.md
	cd bench && go run ./compare -ablate -rounds $(ROUNDS) -markdown ../docs/performance.md

.PHONY: bench-ratio
bench-ratio: ## one quick round against grpc-go; fails only if a ratio is off its bar by more than twice, or on allocations
	cd bench && go run ./compare -rounds 1 -servers gogreeter,grpc-go -only '$(SMALL)' -max-ratio 2

.PHONY: bench-codegen
bench-codegen: ## compare the plugin with protoc-gen-go-grpc on the request in GOGREETER_CORPUS
	go -C bench/codegen run . -request "$(GOGREETER_CORPUS)" -rounds $(ROUNDS)

.PHONY: size
size: ## count the lines of the core: the runtime and its transport, without tests and what is for them
	@cat $$(ls runtime/*.go runtime/internal/*/*.go | grep -v -e _test.go -e /h2test/) | \
		awk '!/^[ \t]*(\/\/|$$)/ { code++ } END { print NR " lines, " code " without comments and blank lines" }'

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

bin/gofumpt: tools/go.mod
	$(TOOLS) mvdan.cc/gofumpt

bin/staticcheck: tools/go.mod
	$(TOOLS) honnef.co/go/tools/cmd/staticcheck

bin/govulncheck: tools/go.mod
	$(TOOLS) golang.org/x/vuln/cmd/govulncheck

# buf is large. go build names each package on its way, of which every 100th is told.
bin/buf: tools/go.mod
	@echo "== building buf from source; the first time this takes some minutes"
	@{ $(TOOLS) -v github.com/bufbuild/buf/cmd/buf 2>&1 || echo "buf was not built"; } | awk ' \
		/^go: downloading/ { if (downloads++ % 25 == 0) print "   downloading modules ..."; fflush(); next } \
		/^[^ :]+$$/ { if (++packages % 100 == 0) print "   " packages " packages compiled ..."; fflush(); next } \
		{ print; fflush() } \
		/^buf was not built$$/ { failed = 1 } \
		END { exit failed }'

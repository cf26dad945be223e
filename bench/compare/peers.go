package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gogreeter/gogreeter/bench/internal/process"
)

// contender is a server that takes part.
type contender struct {
	name    string
	kind    kind
	source  string   // directory of its main package, or file
	command []string // program and flags, once built
	flags   []string
	module  string  // whose version is the peer's
	share   float64 // of a load that it is given; slow servers need less for the same precision
}

// kind is the language that a server is written in.
type kind int

const (
	golang kind = iota // answers the questions of package report
	python
	cpp
)

var contenders = []contender{
	{name: gogreeter, source: "gogreeter_server", share: 1},
	{name: inline, source: "gogreeter_server", flags: []string{"-inline"}, share: 1},
	{name: grpcGo, source: "grpc_go_server", module: "google.golang.org/grpc", share: 0.5},
	{name: connectGo, source: "connect_go_server", module: "connectrpc.com/connect", share: 0.25},
	{name: cppCallback, kind: cpp, source: "grpc_cpp_server/server.cc", flags: []string{"-api", "callback"}, share: 0.5},
	{name: cppAsync, kind: cpp, source: "grpc_cpp_server/server.cc", flags: []string{"-api", "async"}, share: 0.5},
	{name: grpcPython, kind: python, source: "python_server/server.py", share: 0.05},
}

// The names of the servers.
const (
	gogreeter   = "gogreeter"
	inline      = "gogreeter inline"
	grpcGo      = "grpc-go"
	connectGo   = "connect-go"
	cppCallback = "gRPC C++ callback"
	cppAsync    = "gRPC C++ async"
	grpcPython  = "grpc-python"
)

// build builds a server, or finds what runs it, and returns its command. Contenders of the same source share it.
func (b *bench) build(c contender) (command []string, err error) {
	if c.kind == python {
		interpreter, err := findPython()
		return []string{interpreter, c.source}, err
	}
	program := filepath.Join(b.directory, filepath.Base(c.source)+".program")
	if _, err := os.Stat(program); err != nil {
		if c.kind == cpp {
			err = b.buildCPP(c.source, program)
		} else {
			err = process.Build(c.source, program)
		}
		if err != nil {
			return nil, err
		}
	}
	return append([]string{program}, c.flags...), nil
}

func findPython() (string, error) {
	for _, interpreter := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(interpreter, "-c", "import grpc, google.protobuf").Run() == nil {
			return interpreter, nil
		}
	}
	return "", errors.New("no python3 has grpcio and protobuf")
}

// errNoCPP says what a server in C++ needs; the names are those of Debian's packages.
var errNoCPP = errors.New("it needs g++, pkg-config, protobuf-compiler, protobuf-compiler-grpc and libgrpc++-dev")

// buildCPP compiles a server in C++, with the code that protoc generates for it.
func (b *bench) buildCPP(source, program string) error {
	if b.noCPP != nil {
		return b.noCPP
	}
	b.noCPP = errNoCPP
	plugin, err := exec.LookPath("grpc_cpp_plugin")
	if err != nil {
		return errNoCPP
	}
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "grpc++", "protobuf").Output()
	if err != nil {
		return errNoCPP
	}
	generate := exec.Command("protoc", "-I", "../example/helloworld", "--cpp_out="+b.directory, "--grpc_out="+b.directory,
		"--plugin=protoc-gen-grpc="+plugin, "helloworld.proto")
	generated := filepath.Join(b.directory, "helloworld")
	arguments := []string{"-O2", "-std=c++17", "-I", b.directory, source, generated + ".pb.cc", generated + ".grpc.pb.cc", "-o", program}
	compile := exec.Command("g++", append(arguments, strings.Fields(string(flags))...)...)
	for _, command := range []*exec.Cmd{generate, compile} {
		if complaint, err := command.CombinedOutput(); err != nil {
			b.noCPP = fmt.Errorf("%w: %s: %w\n%s", errNoCPP, filepath.Base(command.Path), err, complaint)
			return b.noCPP
		}
	}
	b.noCPP = nil
	return nil
}

// version returns the version of the peer that a server is built with; it is empty if that is not known.
func (c contender) version() string {
	var output []byte
	switch c.kind {
	case golang:
		info, err := buildinfo.ReadFile(c.command[0])
		if err != nil {
			return ""
		}
		for _, module := range info.Deps {
			if module.Path == c.module {
				return strings.TrimPrefix(module.Version, "v")
			}
		}
	case python:
		output, _ = exec.Command(c.command[0], "-c", "import grpc; print(grpc.__version__)").Output()
	case cpp:
		output, _ = exec.Command("pkg-config", "--modversion", "grpc++").Output()
	}
	return strings.TrimSpace(string(output))
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/gogreeter/gogreeter/bench/internal/process"
)

// measureSize builds a small server as one is shipped, and returns how large its file is.
func measureSize(b *bench, c contender, s scenario) (sample, error) {
	flags := append([]string{"-trimpath", "-ldflags=-s -w"}, s.flags...)
	directory := "size/gogreeter"
	if c.name == grpcGo {
		directory = "size/grpc_go"
		// The messages are in one package with the code for gogreeter, which has no part in this server.
		overlay, err := b.withoutGenerated()
		if err != nil {
			return sample{}, err
		}
		flags = append(flags, "-overlay="+overlay)
	}
	program := filepath.Join(b.directory, filepath.Base(directory))
	if err := process.Build(directory, program, flags...); err != nil {
		return sample{}, err
	}
	info, err := os.Stat(program)
	if err != nil {
		return sample{}, err
	}
	return sample{MiB: float64(info.Size()) / (1 << 20)}, nil
}

// withoutGenerated writes an overlay of go build in which gogreeter's generated code does not exist.
func (b *bench) withoutGenerated() (file string, err error) {
	generated, err := filepath.Abs("../example/helloworld/helloworld_gogreeter.pb.go")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(generated); err != nil {
		return "", err
	}
	content, err := json.Marshal(map[string]any{"Replace": map[string]string{generated: ""}})
	if err != nil {
		return "", err
	}
	file = filepath.Join(b.directory, "overlay.json")
	return file, os.WriteFile(file, content, 0o600)
}

var generatorLine = regexp.MustCompile(`(?m)^protoc-gen-gogreeter +[0-9.]+ s +([0-9.]+)×`)

// measureGenerator has bench/codegen compare the plugins, which has rounds of its own.
func measureGenerator(*bench, contender, scenario) (sample, error) {
	if *corpus == "" {
		return sample{}, fmt.Errorf("%w: -corpus names no request", errLeftOut)
	}
	path, err := filepath.Abs(*corpus)
	if err != nil {
		return sample{}, err
	}
	command := exec.Command("go", "-C", "codegen", "run", ".", "-request", path, "-rounds", fmt.Sprint(*rounds))
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return sample{}, fmt.Errorf("bench/codegen: %w\n%s", err, output)
	}
	lines := generatorLine.FindAllSubmatch(output, -1)
	if lines == nil {
		return sample{}, fmt.Errorf("bench/codegen did not say how the plugins compare:\n%s", output)
	}
	ratio, err := strconv.ParseFloat(string(lines[len(lines)-1][1]), 64)
	return sample{Time: ratio}, err
}

// Codegen compares how long plugins of protoc take, and how much memory, for one and the same request.
//
//	go -C bench/codegen run . -request corpus.binpb.gz -rounds 5
//
// The plugins take turns, so that what else the machine does falls on all of them alike. For each it prints the
// smallest wall time, CPU time and peak memory of all rounds, and the ratio to the first plugin. With -max-time and
// -max-memory it fails if the ratio of any other plugin is above.
//
// Without arguments it builds and compares protoc-gen-go-grpc, at the version in tools/go.mod, and
// protoc-gen-gogreeter; otherwise the arguments are the plugins.
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var (
	requestPath = flag.String("request", "", "file with a CodeGeneratorRequest; compressed if its name ends in .gz")
	rounds      = flag.Int("rounds", 5, "how many times each plugin runs")
	maxTime     = flag.Float64("max-time", 0, "fail if the wall time of a plugin is above this ratio to the first one's; 0: never")
	maxMemory   = flag.Float64("max-memory", 0, "fail if the peak memory of a plugin is above this ratio to the first one's; 0: never")
	top         = flag.String("C", "../..", "top directory of the repository")
)

func main() {
	flag.Parse()
	if err := run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "codegen:", err)
		os.Exit(1)
	}
}

// plugin is a program under test, with the best that it has shown.
type plugin struct {
	path   string
	wall   time.Duration
	cpu    time.Duration
	memory int64 // bytes, resident at the peak
	output int   // bytes
}

func run(paths []string) error {
	if *requestPath == "" {
		return fmt.Errorf("which request? -request FILE")
	}
	request, err := readRequest(*requestPath)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		dir, err := os.MkdirTemp("", "codegen")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if paths, err = buildPlugins(dir); err != nil {
			return err
		}
	}
	plugins := make([]*plugin, 0, len(paths))
	for _, path := range paths {
		plugins = append(plugins, &plugin{path: path})
	}
	for round := range *rounds {
		for _, p := range plugins {
			if err := p.measure(request, round == 0); err != nil {
				return err
			}
		}
	}
	return report(plugins)
}

func readRequest(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return content, err
	}
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return io.ReadAll(reader)
}

func buildPlugins(dir string) ([]string, error) {
	builds := [][]string{
		{"build", "-modfile=tools/go.mod", "-o", dir, "google.golang.org/grpc/cmd/protoc-gen-go-grpc"},
		{"build", "-o", dir, "./cmd/protoc-gen-gogreeter"},
	}
	for _, args := range builds {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = *top, os.Stderr, os.Stderr
		cmd.Env = append(os.Environ(), "GOWORK=off") // with which there is no -modfile
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%v: %w", cmd, err)
		}
	}
	return []string{filepath.Join(dir, "protoc-gen-go-grpc"), filepath.Join(dir, "protoc-gen-gogreeter")}, nil
}

// measure runs the plugin once, and keeps what is better than before.
func (p *plugin) measure(request []byte, first bool) error {
	cmd := exec.Command(p.path)
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), &output, os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	wall := time.Since(start)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	memory := usage.Maxrss << 10
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("%-24s %6.2f s wall  %6.2f s CPU  %5d MiB\n", filepath.Base(p.path), wall.Seconds(), cpu.Seconds(), memory>>20)
	if first {
		p.wall, p.cpu, p.memory = wall, cpu, memory
	}
	p.wall, p.cpu, p.memory, p.output = min(p.wall, wall), min(p.cpu, cpu), min(p.memory, memory), output.Len()
	return nil
}

// report prints the best of all rounds, and compares.
func report(plugins []*plugin) error {
	fmt.Printf("\n%-24s %12s %12s %12s %12s\n", "best of all rounds", "wall", "CPU", "peak memory", "output")
	base := plugins[0]
	var failure error
	for _, p := range plugins {
		wall := p.wall.Seconds() / base.wall.Seconds()
		memory := float64(p.memory) / float64(base.memory)
		fmt.Printf("%-24s %5.2f s %3.2f× %5.2f s %3.2f× %5d MiB %3.2f× %5d MiB\n", filepath.Base(p.path),
			p.wall.Seconds(), wall, p.cpu.Seconds(), p.cpu.Seconds()/base.cpu.Seconds(), p.memory>>20, memory, p.output>>20)
		if *maxTime > 0 && p != base && wall > *maxTime {
			failure = fmt.Errorf("%s takes %.2f times as long as %s; at most %.2f is allowed", p.path, wall, base.path, *maxTime)
		}
		if *maxMemory > 0 && p != base && memory > *maxMemory {
			failure = fmt.Errorf("%s takes %.2f times the memory of %s; at most %.2f is allowed", p.path, memory, base.path, *maxMemory)
		}
	}
	return failure
}

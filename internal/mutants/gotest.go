package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// fate is what becomes of a mutant.
type fate string

const (
	killed     fate = "killed"     // a test has noticed
	survived   fate = "SURVIVED"   // none has
	broken     fate = "BROKEN"     // it says nothing of the tests
	equivalent fate = "equivalent" // it is no mistake
)

// result is a fate, and how it came about.
type result struct {
	fate fate
	text string
}

// run compiles the mutant, in a directory of its own, and has the tests look at it, which may take as long as timeout.
func (m *mutant) run(ctx context.Context, directory string, timeout time.Duration) result {
	if m.equivalent != "" {
		return result{equivalent, m.equivalent}
	}
	overlay, err := m.writeOverlay(directory)
	if err != nil {
		return result{broken, err.Error()}
	}
	output, err := goTest(ctx, m.in, m.testNames(), overlay, timeout)
	return judge(output, err)
}

// writeOverlay writes what go test -overlay reads.
func (m *mutant) writeOverlay(directory string) (overlay string, err error) {
	if err := os.Mkdir(directory, 0o700); err != nil {
		return "", err
	}
	file := filepath.Join(directory, filepath.Base(m.file))
	if err := os.WriteFile(file, []byte(m.changed()), 0o600); err != nil {
		return "", err
	}
	content, err := json.Marshal(map[string]any{"Replace": map[string]string{m.file: file}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(directory, "overlay.json")
	return overlay, os.WriteFile(overlay, content, 0o600)
}

// goTest runs tests of the package in a directory, without the race detector and vet, which take longer than most of them.
func goTest(ctx context.Context, directory string, names []string, overlay string, timeout time.Duration) (output string, err error) {
	arguments := []string{
		"test", "-count=1", "-vet=off", "-failfast", "-ldflags=-s -w", "-timeout=" + timeout.String(),
		"-run=^(" + strings.Join(names, "|") + ")$",
	}
	if overlay != "" {
		arguments = append(arguments, "-overlay="+overlay)
	}
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = directory
	content, err := command.CombinedOutput()
	return string(content), err
}

var (
	failedTest  = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	runningTest = regexp.MustCompile(`(?m)^\s*running tests:\n\s+(\S+)`)
)

// judge tells a mutant's fate from what go test has said of it.
func judge(output string, err error) result {
	var exit *exec.ExitError
	switch failed := failedTest.FindStringSubmatch(output); {
	case err != nil && !errors.As(err, &exit), exit != nil && !exit.Exited():
		return result{broken, err.Error()}
	case strings.Contains(output, "no tests to run"):
		return result{broken, "there is no such test"}
	case err == nil:
		return result{survived, "no test has noticed"}
	case strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"):
		return result{broken, "it does not compile:\n" + output}
	case failed != nil:
		return result{killed, failed[1]}
	case strings.Contains(output, "panic: test timed out"):
		if running := runningTest.FindStringSubmatch(output); running != nil {
			return result{killed, running[1] + " does not end"}
		}
		return result{killed, "the tests do not end"}
	case strings.Contains(output, "panic: "), strings.Contains(output, "fatal error: "):
		return result{killed, "the tests panic"}
	case strings.Contains(output, "\nFAIL\t"):
		return result{killed, "the program of the tests"} // TestMain, for a goroutine that is left
	}
	return result{broken, "go test has failed, and no test:\n" + output}
}

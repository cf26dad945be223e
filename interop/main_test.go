package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bin is the directory of the example programs, built once for all tests.
var bin string

// programs are the directories of the example programs. Each is built inside its own module, as its user builds it.
var programs = []string{
	"../example/helloworld/greeter_server",
	"../example/helloworld/greeter_client",
	"../example/route_guide/route_guide_server",
	"../example/route_guide/route_guide_client",
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// A program built with the race detector waits a second before it exits, by default.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	var err error
	bin, err = os.MkdirTemp("", "gogreeter-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	for _, directory := range programs {
		if err := build(directory); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// build compiles the program in directory into bin, with the race detector if the tests have it.
func build(directory string) error {
	arguments := []string{"build", "-C", directory, "-o", bin + string(filepath.Separator)}
	if raceEnabled {
		arguments = append(arguments, "-race")
	}
	output, err := exec.Command("go", append(arguments, ".")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building %s: %w\n%s", directory, err, output)
	}
	return nil
}

package codegen

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// Run is the plugin as a process: it reads a CodeGeneratorRequest from stdin, writes a CodeGeneratorResponse and
// nothing else to stdout, and returns the exit code. In the skeleton mode it writes files too, and the response is
// empty. What is wrong with the user's .proto files or options goes into the response, from where protoc and buf show
// it; stderr is for a request that cannot be read, for messages in a file that is built for one platform only, and for
// what the skeleton mode has to report.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) (exitCode int) {
	if len(args) > 0 {
		return runByHand(args, stdout, stderr)
	}
	if os.Getenv("GOGC") == "" {
		// Nearly everything that is read stays alive to the end, a moment later: to collect garbage less often costs
		// little memory, and saves a tenth of the time.
		debug.SetGCPercent(200)
	}
	input, err := io.ReadAll(stdin)
	if err != nil {
		return fail(stderr, "cannot read the request from stdin: %v", err)
	}
	request := &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(input, request); err != nil {
		return fail(stderr, "stdin holds no CodeGeneratorRequest: %v (this program is run by protoc or buf; try --help)", err)
	}
	output, err := proto.Marshal(respond(request, stderr))
	if err != nil {
		return fail(stderr, "cannot encode the response: %v", err)
	}
	if _, err := stdout.Write(output); err != nil {
		return fail(stderr, "cannot write the response to stdout: %v", err)
	}
	return 0
}

// runByHand answers a person at a terminal; protoc and buf pass no arguments.
func runByHand(args []string, stdout, stderr io.Writer) (exitCode int) {
	switch args[0] {
	case "-h", "-help", "--help":
		fmt.Fprint(stdout, usage())
		return 0
	case "-version", "--version":
		fmt.Fprintln(stdout, pluginName, version())
		return 0
	}
	return fail(stderr, "unknown argument %q: this program is run by protoc or buf, "+
		"which pass options as --gogreeter_opt=NAME=VALUE (try --help)", args[0])
}

func fail(stderr io.Writer, format string, args ...any) (exitCode int) {
	fmt.Fprintf(stderr, pluginName+": "+format+"\n", args...)
	return 1
}

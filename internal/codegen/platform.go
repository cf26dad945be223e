package codegen

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// platformGuard keeps a name such as greeter_linux or greeter_test from meaning something to the go command.
func platformGuard(name string) string {
	if strings.HasSuffix(name, "_test") || platformOf(name) != "" {
		return "_servicer"
	}
	return ""
}

// platformOf returns the platform that the go command builds a file for because of its name, as in greeter_linux.pb.go,
// or nothing. What is behind the first dot does not count there, and neither does the ending of a test.
func platformOf(fileName string) string {
	name, _, _ := strings.Cut(fileName, ".")
	name = strings.TrimSuffix(name, "_test")
	if i := strings.LastIndexByte(name, '_'); i >= 0 && platforms[name[i+1:]] {
		return name[i+1:]
	}
	return ""
}

// platforms are the operating systems and processors that the go command knows in file names, those included that it
// keeps for the past and the future.
var platforms = func() map[string]bool {
	known := make(map[string]bool)
	const all = "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 " +
		"windows zos 386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 " +
		"mips64p32le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm"
	for _, name := range strings.Fields(all) {
		known[name] = true
	}
	return known
}()

// reportPlatforms tells of files whose messages are built for one platform only. That can be meant, so it is no mistake;
// on all other platforms the compiler misses the messages, and does not say why.
func reportPlatforms(files []*File, reports io.Writer) {
	for _, f := range files {
		messages := path.Base(f.source.GeneratedFilenamePrefix) + ".pb.go"
		if platform := platformOf(messages); platform != "" {
			fmt.Fprintf(reports, "%s: protoc-gen-go writes its messages to %s, which Go builds for %s only because of its name: "+
				"elsewhere the code of its services does not compile. Give the .proto file another name\n",
				f.Source, messages, platform)
		}
	}
}

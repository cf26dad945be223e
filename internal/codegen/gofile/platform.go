package gofile

import "strings"

// PlatformOf returns the platform that the go command builds a file for because of its name, as in greeter_linux.pb.go,
// or nothing. What is behind the first dot does not count there, and neither does the ending of a test.
func PlatformOf(fileName string) string {
	name, _, _ := strings.Cut(fileName, ".")
	name = strings.TrimSuffix(name, "_test")
	if i := strings.LastIndexByte(name, '_'); i >= 0 && platforms[name[i+1:]] {
		return name[i+1:]
	}
	return ""
}

// platforms are the operating systems and processors that the go command knows in file names, those included that it
// keeps for the past and the future.
var platforms = nameSet(strings.Fields("aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 " +
	"windows zos 386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 " +
	"mips64p32le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm"))

// IsPlatform says whether a word is one of them.
func IsPlatform(word string) bool { return platforms[word] }

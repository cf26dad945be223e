package gofile

import (
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
)

// RuntimePackage is the import path of the runtime, which generated code refers to.
const RuntimePackage = "github.com/gogreeter/gogreeter/runtime"

// fixedImports are what the built-in templates refer to. Their names are kept for them, so that generated code always
// reads alike.
var fixedImports = map[string]string{
	"context":                       "context",
	"errors":                        "errors",
	"iter":                          "iter",
	"slices":                        "slices",
	"sync":                          "sync",
	"google.golang.org/grpc/codes":  "codes",
	"google.golang.org/grpc/status": "status",
	RuntimePackage:                  "runtime",
}

// parameterNames and localNames are what the built-in templates call parameters, and those with other variables. A package
// of that name would be hidden.
var (
	parameterNames = []string{"ctx", "request", "requests", "replies"}
	localNames     = append([]string{"servicer", "server", "fake", "recorder", "index", "call", "r", "err"}, parameterNames...)
)

// signatureNames are those that the signatures of methods may hold, beside the names of messages and their packages;
// reservedNames are those that a package must not get within a generated file.
var (
	signatureNames = nameSet(parameterNames, slices.Collect(maps.Values(fixedImports)), types.Universe.Names())
	reservedNames  = nameSet(localNames, slices.Collect(maps.Values(fixedImports)), types.Universe.Names())
)

// IsInSignatures says whether a name may be in the signature of a method, so that it cannot be that of its receiver.
func IsInSignatures(name string) bool { return signatureNames[name] }

// IsReserved says whether generated code uses a name for itself.
func IsReserved(name string) bool { return reservedNames[name] }

func nameSet(lists ...[]string) map[string]bool {
	set := make(map[string]bool)
	for _, name := range slices.Concat(lists...) {
		set[name] = true
	}
	return set
}

// standardLibrary is the first elements of its import paths. Modules cannot begin with them.
var standardLibrary = nameSet(strings.Fields("archive bufio bytes cmp compress container context crypto database debug embed encoding errors expvar " +
	"flag fmt go hash html image index io iter log maps math mime net os path plugin reflect regexp runtime " +
	"slices sort strconv strings structs sync syscall testing text time unicode unique unsafe weak"))

// IsImportPath says whether the go command takes a path: it takes ASCII letters, digits and a few marks
// (golang.org/x/mod/module.CheckImportPath).
func IsImportPath(path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		isLetter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !isLetter && (r < '0' || r > '9') && !strings.ContainsRune("/-._~+", r)
	})
}

// withoutVersion cuts off the major version that a path has from the second on, as in example.com/user/v2 and
// gopkg.in/user.v2: no package is called that.
func withoutVersion(importPath string) string {
	before, last := path.Split(importPath)
	if before != "" && isVersionElement(last) {
		return strings.TrimSuffix(before, "/")
	}
	if i := strings.LastIndexByte(last, '.'); i > 0 && isVersionElement(last[i+1:]) {
		return before + last[:i]
	}
	return importPath
}

func isVersionElement(element string) bool {
	digits, ok := strings.CutPrefix(element, "v")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// lastElement is what Go takes for the name of a package whose source it has not read.
func lastElement(importPath string) string {
	return importPath[strings.LastIndex(importPath, "/")+1:]
}

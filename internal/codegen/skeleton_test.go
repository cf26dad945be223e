package codegen

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton"
)

// shopWithGet implements one of the two RPCs of the service corpus.Shop.
const shopWithGet = `package impl

import (
	"context"

	"example.com/corpus/shop"
)

type Impl struct{}

var _ shop.ShopServicer = (*Impl)(nil)

func (i *Impl) Get(ctx context.Context, request *shop.Item) (*shop.Item, error) { return request, nil }
`

// newImpl makes a module with what is generated for the corpus, and in it a package impl with a file.
func newImpl(t *testing.T, source string) (module, dir, file string) {
	t.Helper()
	module = newCorpusModule(t)
	writeCorpusPackages(t, module)
	dir = filepath.Join(module, "impl")
	file = filepath.Join(dir, "impl.go")
	codegentest.WriteFile(t, file, source)
	return module, dir, file
}

// sharedCache spares tests that run one after the other the packages that they have in common.
var sharedCache = skeleton.NewCache()

func runSkeleton(dir string, options ...string) (reports string, err error) {
	var log bytes.Buffer
	if len(options) == 0 {
		options = []string{"services=corpus.Shop"}
	}
	err = runSkeletonMode(corpusRequest(append(options, "skeleton="+dir)...), sharedCache, &log)
	return log.String(), err
}

// TestSkeleton_AnswersNothing makes sure that protoc has nothing to write: it would replace files in the directory that
// it was given, which may be any.
func TestSkeleton_AnswersNothing(t *testing.T) {
	_, dir, _ := newImpl(t, "package impl\n")
	response := respond(corpusRequest("services=corpus.Shop", "skeleton="+dir), io.Discard)
	if response.Error != nil || len(response.File) > 0 {
		t.Errorf("error %q, files %v", response.GetError(), response.File)
	}
	if !strings.Contains(codegentest.ReadFile(t, filepath.Join(dir, "shop.go")), "type Shop struct{}") {
		t.Error("nothing has been written")
	}
}

// TestSkeleton_InTheMessagesOwnPackage has nothing to import from there, and a fake in the package that is no one's to
// fill in. What is generated there is as it was before the service got its second RPC.
func TestSkeleton_InTheMessagesOwnPackage(t *testing.T) {
	module := newCorpusModule(t)
	generate := func(options ...string) {
		for _, response := range []*pluginpb.CodeGeneratorResponse{
			respond(corpusRequest(append(options, "parts=servicers+registrars+fakes")...), io.Discard), messages(t, corpusRequest()),
		} {
			for _, file := range response.File {
				codegentest.WriteFile(t, filepath.Join(module, strings.TrimPrefix(file.GetName(), "example.com/corpus/")), file.GetContent())
			}
		}
	}
	generate()
	dir := filepath.Join(module, "shop")
	generated := filepath.Join(dir, "shop_gogreeter.pb.go")
	removeMethod(t, generated, "Watch")
	if reports, err := runSkeleton(dir); err != nil || !strings.Contains(reports, "Shop is a new implementation of corpus.Shop to fill in") {
		t.Fatalf("%v, reports %q", err, reports)
	}
	written := codegentest.ReadFile(t, filepath.Join(dir, "shop.go"))
	if !strings.Contains(written, "(ctx context.Context, request *Item) (*Item, error) {") || !strings.Contains(written, "Watch(") {
		t.Errorf("written:\n%s", written)
	}
	generate()
	codegentest.Run(t, module, nil, "go", "vet", "./...")
	if reports, err := runSkeleton(dir); err != nil || reports != "" {
		t.Errorf("the second run: %v, reports %q", err, reports)
	}
}

// removeMethod removes lines that declare a method of an interface.
func removeMethod(t *testing.T, path, name string) {
	t.Helper()
	var kept strings.Builder
	for line := range strings.Lines(codegentest.ReadFile(t, path)) {
		if !strings.HasPrefix(line, "\t"+name+"(") {
			kept.WriteString(line)
		}
	}
	codegentest.WriteFile(t, path, kept.String())
}

// TestSkeleton_WhatIsGeneratedIsNotThere completes a servicer although the package that says what it lacks is not on
// disk, or as it was: protoc writes that when all plugins have answered.
func TestSkeleton_WhatIsGeneratedIsNotThere(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, module string)
	}{
		{"no such package", func(t *testing.T, module string) {
			if err := os.RemoveAll(filepath.Join(module, "shop")); err != nil {
				t.Fatal(err)
			}
		}},
		{"no messages", func(t *testing.T, module string) {
			if err := os.Remove(filepath.Join(module, "shop", "shop.pb.go")); err != nil {
				t.Fatal(err)
			}
		}},
		{"no such method yet", func(t *testing.T, module string) {
			removeMethod(t, filepath.Join(module, "shop", "shop_gogreeter.pb.go"), "Watch")
		}},
		{"no modules but this", func(t *testing.T, module string) {
			if err := os.RemoveAll(filepath.Join(module, "shop")); err != nil {
				t.Fatal(err)
			}
			codegentest.WriteFile(t, filepath.Join(module, "go.mod"), "module example.com/corpus\n\ngo 1.26\n")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			module, dir, file := newImpl(t, shopWithGet)
			mod := codegentest.ReadFile(t, filepath.Join(module, "go.mod"))
			test.prepare(t, module)
			if reports, err := runSkeleton(dir); err != nil || !strings.Contains(reports, "added Watch to Impl") {
				t.Fatalf("%v, reports %q", err, reports)
			}
			codegentest.WriteFile(t, filepath.Join(module, "go.mod"), mod)
			writeCorpusPackages(t, module)
			codegentest.Run(t, module, nil, "go", "vet", "./impl")
			if !strings.Contains(codegentest.ReadFile(t, file), "replies runtime.ResponseStream[shop.Item]) error {") {
				t.Error(codegentest.ReadFile(t, file))
			}
		})
	}
}

func TestSkeleton_RefusesDirectories(t *testing.T) {
	module, dir, _ := newImpl(t, shopWithGet)
	outside := t.TempDir()
	tests := []struct {
		name, dir, want string
		env             [2]string
	}{
		{"not there", "elsewhere/impl", "there is no directory " + filepath.Join(module, "elsewhere", "impl") + ": DIR is seen from " + module, [2]string{}},
		{"a file", filepath.Join("impl", "impl.go"), "there is no directory", [2]string{}},
		{"in no module", outside, "is in no Go module: run go mod init", [2]string{}},
		{"without the go command", dir, "asks the go command about the package", [2]string{"PATH", outside}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(module)
			if test.env[0] != "" {
				t.Setenv(test.env[0], test.env[1])
			}
			before := readTree(t, module)
			if _, err := runSkeleton(test.dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			compareTrees(t, before, readTree(t, module))
		})
	}
}

// TestSkeleton_Environment has flags for the go command that don't go with what it is asked, or that name files.
func TestSkeleton_Environment(t *testing.T) {
	tests := []struct{ name, variable, value, wantErr string }{
		{"race for platforms without it", "GOFLAGS", "-race", ""},
		{"msan without cgo", "GOFLAGS", "-msan", ""},
		{"a go.mod seen from the package", "GOFLAGS", "-mod=mod -modfile=../other.mod", ""},
		{"another platform", "GOOS", "windows", ""},
		{"no modules", "GO111MODULE", "off", "GO111MODULE=off"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			module, dir, file := newImpl(t, shopWithGet)
			for _, platform := range []string{"linux", "windows", "plan9"} {
				codegentest.WriteFile(t, filepath.Join(dir, "on_"+platform+".go"), "package impl\n")
			}
			for _, suffix := range []string{".mod", ".sum"} {
				codegentest.WriteFile(t, filepath.Join(module, "other"+suffix), codegentest.ReadFile(t, filepath.Join(module, "go"+suffix)))
			}
			t.Setenv(test.variable, test.value)
			var log bytes.Buffer
			err := runSkeletonMode(corpusRequest("services=corpus.Shop", "skeleton="+dir), skeleton.NewCache(), &log)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil || !strings.Contains(codegentest.ReadFile(t, file), "Watch(") {
				t.Errorf("%v, reports %q", err, log.String())
			}
		})
	}
}

// TestSkeleton_WritesNothingButTheFile has a user who lets the go command change go.mod, and a go.mod that it would
// change; a file that is a symbolic link, and only the user's to read; and a lock that leads nowhere.
func TestSkeleton_WritesNothingButTheFile(t *testing.T) {
	module, dir, file := newImpl(t, shopWithGet)
	t.Setenv("GOFLAGS", "-mod=mod")
	codegentest.WriteFile(t, filepath.Join(module, "go.mod"), codegentest.ReadFile(t, filepath.Join(module, "go.mod"))+
		"\nrequire google.golang.org/protobuf v1.36.12 // indirect\n")
	target := filepath.Join(module, "elsewhere.txt")
	if err := errors.Join(os.Rename(file, target), os.Chmod(target, 0o640), os.Symlink(target, file)); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(dir, ".#impl.go")
	if err := os.Symlink("me@host.1:1", lock); err != nil {
		t.Fatal(err)
	}
	tree := func() map[string]string {
		files := readTree(t, module)
		delete(files, "impl/.#impl.go")
		return files
	}
	want := tree()
	if _, err := runSkeleton(dir); err != nil {
		t.Fatal(err)
	}
	got := tree()
	if !strings.Contains(got["elsewhere.txt"], "Watch(") || got["impl/impl.go"] != got["elsewhere.txt"] {
		t.Errorf("the file behind the link:\n%s", got["elsewhere.txt"])
	}
	want["elsewhere.txt"], want["impl/impl.go"] = got["elsewhere.txt"], got["impl/impl.go"]
	compareTrees(t, want, got)
	if info, err := os.Lstat(file); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is not one any more: %v, %v", info, err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is not the user's alone any more: %v, %v", info, err)
	}
}

// TestSkeleton_NeverReplacesWhatItHasNotRead changes files while the plugin is at work.
func TestSkeleton_NeverReplacesWhatItHasNotRead(t *testing.T) {
	tests := []struct {
		name, source string
		meanwhile    func(t *testing.T, dir string)
		want         string
	}{
		{"edited", shopWithGet, func(t *testing.T, dir string) {
			codegentest.WriteFile(t, filepath.Join(dir, "impl.go"), shopWithGet+"\n// more\n")
		}, "impl.go has changed since it was read"},
		{"removed", shopWithGet, func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "impl.go")); err != nil {
				t.Fatal(err)
			}
		}, "nothing has been written"},
		{"protected", shopWithGet, func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "impl.go"), 0o444); err != nil {
				t.Fatal(err)
			}
		}, "impl.go cannot be written to"},
		{"created", "package impl\n", func(t *testing.T, dir string) {
			codegentest.WriteFile(t, filepath.Join(dir, "shop.go"), "package impl\n\n// mine\n")
		}, "shop.go: open "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			module, dir, _ := newImpl(t, test.source)
			plan, err := prepareSkeleton(dir, sharedCache, "services=corpus.Shop")
			if err != nil {
				t.Fatal(err)
			}
			test.meanwhile(t, dir)
			before := readTree(t, module)
			if err := plan.Save(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			compareTrees(t, before, readTree(t, module))
		})
	}
}

// TestSkeleton_Templates has templates of a user's: one written before there was .ReceiverType, one that needs a package of
// which nothing has been heard before, and others that write what does not compile.
func TestSkeleton_Templates(t *testing.T) {
	tests := []struct{ name, method, want, wantErr string }{
		{"a star", `{{.Doc}}func ({{skeleton.Receiver}} *{{skeleton.Type}}) {{.Name}}{{template "signature.go.tmpl" .}} { panic("{{.Name}}") }`, "func (i *Impl) Watch(", ""},
		{"another name", `func ({{skeleton.Receiver}} {{skeleton.ReceiverType}}) X{{.Name}}{{template "signature.go.tmpl" .}} { panic(1) }`, "", "Impl.Watch would not be what corpus.Shop.Watch has to be"},
		{"no body", `func ({{skeleton.Receiver}} {{skeleton.ReceiverType}}) {{.Name}}{{template "signature.go.tmpl" .}} {}`, "", "it would not compile"},
		{"no Go", `func {`, "", "writes what is no Go code"},
		{"an import", `func ({{skeleton.Receiver}} {{skeleton.ReceiverType}}) {{.Name}}{{template "signature.go.tmpl" .}} { panic({{import "example.com/corpus/named"}}.Thing) }`, "\tnamed \"example.com/corpus/named\"", ""},
		{"an import of what imports the package", `func ({{skeleton.Receiver}} {{skeleton.ReceiverType}}) {{.Name}}{{template "signature.go.tmpl" .}} { panic({{import "example.com/corpus/back"}}.Thing) }`, "", "Go allows no such circle"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			module, dir, file := newImpl(t, shopWithGet)
			codegentest.WriteFile(t, filepath.Join(module, "named", "named.go"), "package other\n\nvar Thing = 1\n")
			codegentest.WriteFile(t, filepath.Join(module, "back", "back.go"), "package back\n\nimport _ \"example.com/corpus/impl\"\n\nvar Thing = 1\n")
			templates := t.TempDir()
			codegentest.WriteFile(t, filepath.Join(templates, "skeleton_method.go.tmpl"), test.method)
			before := readTree(t, module)
			_, err := runSkeleton(dir, "services=corpus.Shop", "template_dir="+templates)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error %v, want %q", err, test.wantErr)
				}
				compareTrees(t, before, readTree(t, module))
				return
			}
			if err != nil || !strings.Contains(codegentest.ReadFile(t, file), test.want) {
				t.Errorf("%v\n%s", err, codegentest.ReadFile(t, file))
			}
		})
	}
}

// TestSkeleton_Workspace has the package in one of several modules.
func TestSkeleton_Workspace(t *testing.T) {
	module, dir, file := newImpl(t, shopWithGet)
	codegentest.WriteFile(t, filepath.Join(module, "other", "go.mod"), "module example.com/other\n\ngo 1.26\n")
	codegentest.WriteFile(t, filepath.Join(module, "empty", "x.txt"), "")
	codegentest.WriteFile(t, filepath.Join(module, "go.work"), "go 1.26.0\n\nuse (\n\t.\n\t./other\n)\n")
	for _, dir := range []string{dir, filepath.Join(module, "empty")} {
		if _, err := runSkeleton(dir); err != nil {
			t.Fatal(err)
		}
	}
	codegentest.Run(t, module, []string{"GOWORK=" + filepath.Join(module, "go.work"), "GOFLAGS="}, "go", "vet", "./impl", "./empty")
	if !strings.Contains(codegentest.ReadFile(t, file), "Watch(") {
		t.Error("nothing has been added")
	}
	outside := filepath.Join(module, "outside")
	codegentest.WriteFile(t, filepath.Join(outside, "go.mod"), "module example.com/outside\n\ngo 1.26\n")
	if _, err := runSkeleton(outside); err == nil || !strings.Contains(err.Error(), "work") {
		t.Errorf("outside of the workspace: %v", err)
	}
}

// TestSkeleton_BaseOfGRPCGo embeds the base of protoc-gen-go-grpc too, as those do who move from there: it answers
// UNIMPLEMENTED as ours does.
func TestSkeleton_BaseOfGRPCGo(t *testing.T) {
	module, dir, file := newImpl(t, "package impl\n\nimport \"example.com/corpus/shop\"\n\n"+
		"type Impl struct {\n\tshop.UnimplementedShopServicer\n\tshop.UnimplementedShopServer\n}\n")
	codegentest.WriteFile(t, filepath.Join(module, "shop", "shop_grpc.pb.go"), "// Code generated by protoc-gen-go-grpc. DO NOT EDIT.\n\n"+
		"package shop\n\nimport \"context\"\n\ntype UnimplementedShopServer struct{}\n\n"+
		"func (UnimplementedShopServer) Get(context.Context, *Item) (*Item, error) { return nil, nil }\n")
	reports, err := runSkeleton(dir)
	if err != nil || !strings.Contains(reports, "added Get, Watch to Impl") {
		t.Errorf("%v, reports %q", err, reports)
	}
	codegentest.Run(t, module, nil, "go", "vet", "./impl")
	if !strings.Contains(codegentest.ReadFile(t, file), "func (s *Impl) Get(") {
		t.Error(codegentest.ReadFile(t, file))
	}
}

// TestSkeleton_Circle has a package that what is generated would import.
func TestSkeleton_Circle(t *testing.T) {
	module, dir, _ := newImpl(t, "package impl\n")
	codegentest.WriteFile(t, filepath.Join(module, "shop", "circle.go"), "package shop\n\nimport _ \"example.com/corpus/impl\"\n")
	before := readTree(t, module)
	if _, err := runSkeleton(dir); err == nil || !strings.Contains(err.Error(), "Go allows no such circle") {
		t.Errorf("error %v", err)
	}
	compareTrees(t, before, readTree(t, module))
}

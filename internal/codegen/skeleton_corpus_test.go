package codegen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton"
)

// skeletonCase is a file in testdata/skeleton: a user's package, and what must become of it. Its head is a sentence on
// what it shows, and lines of these kinds:
//
//	options: …   of the plugin; services=corpus.Shop if there are none
//	builds: …    environments beside the machine's in which what comes out must compile, such as GOOS=windows, or tags
//	dir: …       the directory of the package; impl if there is none
//	broken: …    why what comes out does not compile
//
// Then come files, each behind a line -- name --. Those whose names end in " (after)" are what must be there once the
// plugin has run; all others must be as they were. The files reports and error are what the plugin says. ␍ stands for a
// carriage return, ﹖ for a byte order mark, and ⏎ for a line that does not end.
type skeletonCase struct {
	name    string
	head    map[string]string
	comment string
	files   map[string]string
	order   []string
}

func skeletonCases(t testing.TB) []*skeletonCase {
	t.Helper()
	paths, err := filepath.Glob("testdata/skeleton/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []*skeletonCase
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, parseSkeletonCase(strings.TrimSuffix(filepath.Base(path), ".txt"), string(content)))
	}
	return cases
}

func parseSkeletonCase(name, content string) *skeletonCase {
	c := &skeletonCase{name: name, head: make(map[string]string), files: make(map[string]string)}
	current := ""
	for line := range strings.Lines(content) {
		if rest, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(rest, " --\n") {
			current = strings.TrimSuffix(rest, " --\n")
			c.order = append(c.order, current)
			c.files[current] = ""
			continue
		}
		if current != "" {
			c.files[current] += strings.NewReplacer("␍\n", "\r\n", "﹖", "\ufeff", "⏎\n", "").Replace(line)
			continue
		}
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.Contains(key, " ") {
			c.head[key] = value
			continue
		}
		c.comment += line
	}
	return c
}

func (c *skeletonCase) dir() string {
	if dir := c.head["dir"]; dir != "" {
		return dir
	}
	return "impl"
}

func (c *skeletonCase) options() []string {
	if options := c.head["options"]; options != "" {
		return strings.Fields(options)
	}
	return []string{"services=corpus.Shop"}
}

// corpusRequest asks for the services of the corpus: Shop and Stock, which share the RPC Get, in a package of an
// ordinary name, with Clash, whose RPC of that name is another; and Odd in one whose name is not that of its directory.
func corpusRequest(options ...string) *pluginpb.CodeGeneratorRequest {
	method := func(name string, streams string) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String(".corpus.Item"), OutputType: proto.String(".corpus.Item"),
			ClientStreaming: proto.Bool(strings.Contains(streams, "requests")),
			ServerStreaming: proto.Bool(strings.Contains(streams, "replies")),
		}
	}
	service := func(name string, methods ...*descriptorpb.MethodDescriptorProto) *descriptorpb.ServiceDescriptorProto {
		return &descriptorpb.ServiceDescriptorProto{Name: proto.String(name), Method: methods}
	}
	file := func(name, goPackage string) *descriptorpb.FileDescriptorProto {
		return &descriptorpb.FileDescriptorProto{
			Name: proto.String(name), Package: proto.String("corpus"), Syntax: proto.String("proto3"),
			Options: &descriptorpb.FileOptions{GoPackage: proto.String(goPackage)},
		}
	}
	shop := file("shop.proto", "example.com/corpus/shop")
	shop.MessageType = []*descriptorpb.DescriptorProto{{Name: proto.String("Item")}}
	shop.Service = []*descriptorpb.ServiceDescriptorProto{
		service("Shop", method("Get", ""), method("Watch", "replies")),
		service("Stock", method("Get", ""), method("Count", "requests")),
		service("Clash", method("Get", "replies")),
		service("Big", method("One", ""), method("Two", "replies"), method("Three", "requests"), method("Four", "requests replies")),
	}
	odd := file("odd.proto", "example.com/corpus/odd-go;oddpb")
	odd.Dependency = []string{"shop.proto"}
	odd.Service = []*descriptorpb.ServiceDescriptorProto{service("Odd", method("Get", ""))}
	return &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{"odd.proto", "shop.proto"},
		Parameter:      proto.String(strings.Join(options, ",")),
		ProtoFile:      []*descriptorpb.FileDescriptorProto{shop, odd},
	}
}

// newCorpusModule makes a module with what is generated for the corpus. Its path is one that patterns would not match.
func newCorpusModule(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Join(codegentest.NewModule(t, "example.com/corpus"), "in [brackets]")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.Rename(filepath.Join(filepath.Dir(dir), name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runSkeletonMode runs the skeleton mode with a cache, as the plugin runs it with a fresh one.
func runSkeletonMode(request *pluginpb.CodeGeneratorRequest, cache *skeleton.Cache, reports io.Writer) error {
	files, o, err := skeletonFiles(request)
	if err != nil {
		return err
	}
	return skeletons(files, o, reports, cache)
}

// prepareSkeleton gets everything ready to save.
func prepareSkeleton(dir string, cache *skeleton.Cache, options ...string) (*skeleton.Plan, error) {
	files, o, err := skeletonFiles(corpusRequest(append(options, "skeleton="+dir)...))
	if err != nil {
		return nil, err
	}
	return prepareSkeletons(files, o, cache)
}

func skeletonFiles(request *pluginpb.CodeGeneratorRequest) ([]*File, *options, error) {
	o := newOptions()
	plugin, err := protogen.Options{ParamFunc: o.set}.New(request)
	if err != nil {
		return nil, nil, err
	}
	files := newFiles(plugin, o)
	return files, o, validate(plugin, files, o)
}

// TestSkeletonCorpus runs each case twice, and then builds and vets all that came out, in all builds.
func TestSkeletonCorpus(t *testing.T) {
	module := newCorpusModule(t)
	writeCorpusPackages(t, module)
	cache := sharedCache.Remembering()
	packages := map[string][]string{"": {}}
	for _, c := range skeletonCases(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CGO_ENABLED", "1") // also where there is no C compiler: the build without cgo would come first there
			c.run(t, filepath.Join(module, "cases", c.name), cache)
			if c.head["broken"] != "" || t.Failed() {
				return
			}
			for _, build := range append([]string{""}, splitList(c.head["builds"])...) {
				packages[build] = append(packages[build], "./cases/"+c.name+"/...")
			}
		})
	}
	for _, build := range slices.Sorted(maps.Keys(packages)) {
		t.Run("vet "+build, func(t *testing.T) {
			var env, flags []string
			for _, word := range strings.Fields(build) {
				if strings.Contains(word, "=") {
					env = append(env, word)
				} else {
					flags = append(flags, "-tags="+word)
				}
			}
			args := append(append([]string{"vet"}, flags...), packages[build]...)
			codegentest.Run(t, module, append(env, "GOFLAGS="), "go", args...)
		})
	}
}

func splitList(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ", ")
}

func writeCorpusPackages(t testing.TB, module string) {
	t.Helper()
	write := func(response *pluginpb.CodeGeneratorResponse) {
		for _, file := range response.File {
			name := strings.TrimPrefix(file.GetName(), "example.com/corpus/")
			codegentest.WriteFile(t, filepath.Join(module, name), file.GetContent())
		}
	}
	write(respond(corpusRequest(), io.Discard))
	write(messages(t, corpusRequest()))
}

// run runs the plugin twice on a case.
func (c *skeletonCase) run(t *testing.T, dir string, cache *skeleton.Cache) {
	want := make(map[string]string)
	for _, name := range c.order {
		if name == "reports" || name == "error" {
			continue
		}
		content := c.files[name]
		if after, ok := strings.CutSuffix(name, " (after)"); ok {
			want[after] = content
			continue
		}
		if name, ok := strings.CutSuffix(name, "/"); ok {
			if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, ok := want[name]; !ok {
			want[name] = content
		}
		codegentest.WriteFile(t, filepath.Join(dir, name), content)
	}
	if err := os.MkdirAll(filepath.Join(dir, c.dir()), 0o777); err != nil {
		t.Fatal(err)
	}
	reports, message := c.runOnce(t, dir, cache)
	got := readTree(t, dir)
	if *update {
		c.update(t, got, reports, message)
		return
	}
	if reports != c.files["reports"] {
		t.Errorf("reports:\n%swant:\n%s", reports, c.files["reports"])
	}
	if message != c.files["error"] {
		t.Errorf("error:\n%swant:\n%s", message, c.files["error"])
	}
	compareTrees(t, want, got)
	again, _ := c.runOnce(t, dir, cache)
	if now := readTree(t, dir); !maps.Equal(now, got) {
		t.Error("the second run changes something")
		compareTrees(t, got, now)
	}
	if strings.Contains(again, ": added ") || strings.Contains(again, "new implementation") {
		t.Errorf("the second run reports %s", again)
	}
}

func (c *skeletonCase) runOnce(t *testing.T, dir string, cache *skeleton.Cache) (reports, message string) {
	var log bytes.Buffer
	target := filepath.Join(dir, c.dir())
	request := corpusRequest(append(slices.Clone(c.options()), "skeleton="+target)...)
	clean := strings.NewReplacer(dir+string(filepath.Separator), "", dir, ".")
	if err := runSkeletonMode(request, cache, &log); err != nil {
		message = clean.Replace(err.Error()) + "\n"
	}
	return clean.Replace(log.String()), message
}

// readTree reads all files below a directory.
func readTree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // a link that leads nowhere
		}
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func compareTrees(t *testing.T, want, got map[string]string) {
	t.Helper()
	for name, content := range want {
		if now, ok := got[name]; !ok {
			t.Errorf("%s is not there", name)
		} else if now != content {
			t.Errorf("%s is not as expected:\n%s\nnow:\n%s", name, firstDifference(content, now), now)
		}
	}
	for name, content := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is new:\n%s", name, content)
		}
	}
}

// update writes what came out as what is expected.
func (c *skeletonCase) update(t *testing.T, got map[string]string, reports, message string) {
	t.Helper()
	var b strings.Builder
	b.WriteString(c.comment)
	for _, key := range []string{"options", "builds", "dir", "broken"} {
		if value := c.head[key]; value != "" {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
		}
	}
	section := func(name, content string) {
		if content != "" && !strings.HasSuffix(content, "\n") {
			content += "⏎\n"
		}
		fmt.Fprintf(&b, "-- %s --\n%s", name, strings.NewReplacer("\r\n", "␍\n", "\ufeff", "﹖").Replace(content))
	}
	for _, name := range c.order {
		if name != "reports" && name != "error" && !strings.HasSuffix(name, " (after)") {
			section(name, c.files[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if before, ok := c.files[name]; !ok || before != got[name] {
			section(name+" (after)", got[name])
		}
	}
	if reports != "" {
		section("reports", reports)
	}
	if message != "" {
		section("error", message)
	}
	codegentest.WriteFile(t, filepath.Join("testdata", "skeleton", c.name+".txt"), b.String())
}

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// texts returns all documents for users and contributors, by path from the top.
func texts(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, pattern := range []string{"../*.md", "*.md", "../example/*.md", "../bench/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.ToSlash(filepath.Join("docs", file))] = string(text)
		}
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLinks follows those that lead to files of this repository, and to headings.
func TestLinks(t *testing.T) {
	all := texts(t)
	followed := 0
	for document, text := range all {
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			followed++
			file, heading, _ := strings.Cut(link[1], "#")
			target := document
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(document), file))
			}
			if _, err := os.Stat(filepath.Join("..", target)); err != nil {
				t.Errorf("%s: %s leads nowhere", document, link[1])
			}
			if heading != "" && !slices.Contains(headings(all[target]), heading) {
				t.Errorf("%s: %s has no heading %s", document, target, heading)
			}
		}
	}
	if followed < 50 {
		t.Errorf("there are only %d links; have they been found?", followed)
	}
}

// headings returns the headings of a document as links spell them.
func headings(text string) (all []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// code returns what a document sets as code: blocks, and spans within a line.
func code(text string) (all []string) {
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(part, -1) {
			all = append(all, span[1])
		}
		all = append(all, regexp.MustCompile(`(?m)^    \S.*$`).FindAllString(part, -1)...)
	}
	return all
}

// TestCommands looks for the targets of make that documents name, the packages and tests of go test, and the commands of
// go run. What each of them does is tested elsewhere.
func TestCommands(t *testing.T) {
	makefile := read(t, "Makefile")
	found := 0
	for document, text := range texts(t) {
		for _, code := range code(text) {
			for _, command := range regexp.MustCompile(`(?m)\bmake((?: +(?:[a-z0-9-]+|[A-Z]+=\S+))+)`).FindAllStringSubmatch(code, -1) {
				for argument := range strings.FieldsSeq(command[1]) {
					found++
					if variable, _, ok := strings.Cut(argument, "="); ok {
						if !regexp.MustCompile(`(?m)^` + variable + ` +\??:?=`).MatchString(makefile) {
							t.Errorf("%s: make has no variable %s", document, variable)
						}
					} else if !strings.Contains(makefile, "\n"+argument+":") {
						t.Errorf("%s: there is no make %s", document, argument)
					}
				}
			}
			for _, command := range regexp.MustCompile(`(?m)^.*\bgo (?:test|run) .*$`).FindAllString(code, -1) {
				found++
				checkGoCommand(t, document, command)
			}
		}
	}
	if found < 50 {
		t.Errorf("there are only %d commands; have they been found?", found)
	}
}

// checkGoCommand looks for the packages that a command names, and for a test that matches -run.
func checkGoCommand(t *testing.T, document, command string) {
	t.Helper()
	top := "."
	for _, change := range regexp.MustCompile(`(?:cd|go -C) (\S+)`).FindAllStringSubmatch(command, -1) {
		top = change[1]
	}
	tests := ""
	for _, path := range regexp.MustCompile(` (\./[a-z][\w./-]*)`).FindAllStringSubmatch(command, -1) {
		directory := filepath.Join(top, strings.TrimSuffix(path[1], "/..."))
		if document == "docs/parity.md" || strings.HasPrefix(document, "bench/") || strings.Contains(command, "./conformance") {
			if _, err := os.Stat(filepath.Join("..", directory)); err != nil {
				directory = filepath.Join(strings.SplitN(document, "/", 2)[0], directory) // from the document's own directory
			}
		}
		if _, err := os.Stat(filepath.Join("..", directory)); err != nil {
			t.Errorf("%s: %q: there is no %s", document, command, directory)
		}
		tests += sources(t, directory, "*_test.go")
	}
	run := regexp.MustCompile(`-run '?([\w$]+)'?`).FindStringSubmatch(command)
	if run == nil || run[1] == "NAME" {
		return
	}
	for _, test := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(tests, -1) {
		if regexp.MustCompile(run[1]).MatchString(test[1]) {
			return
		}
	}
	t.Errorf("%s: %q: no test matches %s", document, command, run[1])
}

// TestNames looks for what documents call by the name of a package of ours, and for the options of a server.
func TestNames(t *testing.T) {
	exported := make(map[string]map[string]bool)
	for _, directory := range []string{
		"runtime", "runtime/authcontext", "runtime/handover", "runtime/health", "runtime/interceptor", "runtime/reflection",
		"runtime/runtimetest", "runtime/interceptor/validate",
	} {
		exported[filepath.Base(directory)] = exportedNames(t, directory)
	}
	others := []string{"runtime.Goexit", "health.HealthServicer", "reflection.SERVICE_NAME"} // Go's, and grpc-python's
	of := regexp.MustCompile(`\b(` + strings.Join(slices.Collect(maps.Keys(exported)), "|") + `)\.([A-Z]\w*)`)
	found := 0
	for document, text := range texts(t) {
		for _, code := range code(text) {
			for _, name := range of.FindAllStringSubmatch(code, -1) {
				if strings.HasPrefix(name[2], "Test") || strings.HasPrefix(name[2], "Fuzz") || slices.Contains(others, name[0]) {
					continue // of tests there are TestSecurity_NamesTestsThatExist and the like
				}
				found++
				if !exported[name[1]][name[2]] {
					t.Errorf("%s: there is no %s.%s", document, name[1], name[2])
				}
			}
			for _, name := range regexp.MustCompile(`\b(?:ServerOptions|Connections|ConnectionOptions|Floods)\.([A-Z]\w*)`).FindAllStringSubmatch(code, -1) {
				found++
				if !exported["runtime"][name[1]] {
					t.Errorf("%s: there is no option %s", document, name[0])
				}
			}
		}
	}
	if found < 150 {
		t.Errorf("there are only %d names; have they been found?", found)
	}
}

// exportedNames returns what a package exports, methods and fields included.
func exportedNames(t *testing.T, directory string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	files, err := filepath.Glob(filepath.Join("..", directory, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", directory, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.FuncDecl:
				names[node.Name.Name] = true
				return false
			case *ast.TypeSpec:
				names[node.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range node.Names {
					names[name.Name] = true
				}
			case *ast.Field:
				for _, name := range node.Names {
					names[name.Name] = true
				}
			}
			return true
		})
	}
	return names
}

// TestGoVersion has all that names the version of Go that is needed name that of go.mod.
func TestGoVersion(t *testing.T) {
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if module == nil {
		t.Fatal("go.mod has no version of Go")
	}
	for file, pattern := range map[string]string{
		"README.md":         `Go (\d+\.\d+) or newer`,
		"CONTRIBUTING.md":   `Go (\d+\.\d+) or newer`,
		"docs/generator.md": `Go (\d+\.\d+) or newer`,
		"Dockerfile":        `FROM .*golang:(\d+\.\d+)`,
		"buf.plugin.yaml":   `min_version: "(\d+\.\d+)"`,
	} {
		named := regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, file), -1)
		if len(named) == 0 {
			t.Errorf("%s does not say which version of Go is needed", file)
		}
		for _, version := range named {
			if version[1] != module[1] {
				t.Errorf("%s says Go %s, and go.mod %s", file, version[1], module[1])
			}
		}
	}
}

// TestPeers compares what CONTRIBUTING.md has a developer install with what .ci/run installs, the C compiler aside.
func TestPeers(t *testing.T) {
	install := regexp.MustCompile(`(?m)apt-get["}@\s]*install (?:-\S+ |\\\n\s*)*((?:[a-z0-9][a-z0-9.+-]* ?)+)\n`)
	packages := func(file string) []string {
		found := install.FindStringSubmatch(read(t, file))
		if found == nil {
			t.Fatalf("%s installs nothing", file)
		}
		all := strings.Fields(found[1])
		slices.Sort(all)
		return slices.DeleteFunc(all, func(name string) bool { return name == "gcc" || name == "libc6-dev" })
	}
	contributing, ci := packages("CONTRIBUTING.md"), packages(".ci/run")
	if len(ci) < 7 || !slices.Equal(contributing, ci) {
		t.Errorf("CONTRIBUTING.md has %v, .ci/run %v", contributing, ci)
	}
}

// TestReadme_Size compares the size of the core with what make size counts, to the nearest 500 lines.
func TestReadme_Size(t *testing.T) {
	output, err := exec.Command("make", "-s", "-C", "..", "size").Output()
	if err != nil {
		t.Fatalf("make size: %v", err)
	}
	counted := regexp.MustCompile(`(\d+) lines, (\d+) `).FindStringSubmatch(string(output))
	said := regexp.MustCompile(`about ([\d,]+) lines, ([\d,]+) without`).FindStringSubmatch(read(t, "README.md"))
	if counted == nil || said == nil {
		t.Fatalf("make size says %q, README.md %q", output, said)
	}
	for i := 1; i <= 2; i++ {
		is, _ := strconv.Atoi(counted[i])
		was, _ := strconv.Atoi(strings.ReplaceAll(said[i], ",", ""))
		if is-was > 500 || was-is > 500 {
			t.Errorf("README.md says about %d lines, and there are %d", was, is)
		}
	}
}

// TestLogTexts looks in the runtime for the texts that coming-from-grpc-python.md lists.
func TestLogTexts(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "docs/coming-from-grpc-python.md"), "\n## Logging\n")
	section, _, _ = strings.Cut(section, "\n## ")
	runtime := sources(t, "runtime", "*.go") + sources(t, "runtime/internal/http2", "*.go")
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1)
	if len(rows) < 10 {
		t.Errorf("only %d texts are listed", len(rows))
	}
	for _, row := range rows {
		for part := range strings.SplitSeq(row[1], "…") {
			part = strings.Trim(part, "(); ")
			if !strings.Contains(runtime, part) {
				t.Errorf("nothing logs %q", part)
			}
		}
	}
}

// TestVersions compares versions of others' programs, of which documents have results, with those that the tests use: newer
// ones need a new run.
func TestVersions(t *testing.T) {
	modules := read(t, "interop/go.mod")
	for _, tt := range []struct{ document, text, module string }{
		{"docs/conformance.md", `h2spec (\d[\d.]+\d)`, "github.com/summerwind/h2spec"},
		{"docs/conformance.md", `connectrpc\.com/conformance (\d[\d.]+\d)`, "connectrpc.com/conformance"},
		{"docs/conformance.md", `grpc-go (\d[\d.]+\d)`, "google.golang.org/grpc"},
		{"docs/security.md", `grpc-go (\d[\d.]+\d)`, "google.golang.org/grpc"},
		{"docs/operation.md", `grpc-go (\d[\d.]+\d)`, "google.golang.org/grpc"},
	} {
		used := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(tt.module) + ` v(\S+)`).FindStringSubmatch(modules)
		said := regexp.MustCompile(tt.text).FindAllStringSubmatch(read(t, tt.document), -1)
		if used == nil || len(said) == 0 {
			t.Errorf("%s: %v, %s: %v", tt.document, said, tt.module, used)
			continue
		}
		for _, version := range said {
			if version[1] != strings.TrimSuffix(used[1], "+incompatible") {
				t.Errorf("%s says %s, and the tests use %s %s", tt.document, version[0], tt.module, used[1])
			}
		}
	}
}

// TestGeneratedNames looks for the names that generator.md lists in what is generated for the example.
func TestGeneratedNames(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "docs/generator.md"), "\n## What is generated\n")
	section, _, _ = strings.Cut(section, "\n## ")
	generated := read(t, "example/helloworld/helloworld_gogreeter.pb.go")
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)[^`]*` \\|").FindAllStringSubmatch(section, -1)
	if len(rows) < 6 {
		t.Errorf("only %d names are listed", len(rows))
	}
	for _, row := range rows {
		if !regexp.MustCompile(`\b`+row[1]+`\b`).MatchString(generated) && row[1] != "FakeGreeterServicer" {
			t.Errorf("%s is not generated", row[1])
		}
	}
}

// TestDefaults compares the defaults in the tables of documents with the comments of runtime.ServerOptions, and
// both with the code.
func TestDefaults(t *testing.T) {
	options := read(t, "runtime/options.go")
	code := strings.Join(strings.Fields(options+read(t, "runtime/internal/http2/config.go")), " ")
	const python, security = "docs/coming-from-grpc-python.md", "docs/security.md"
	for _, tt := range []struct{ option, value, code, documents string }{
		{"MaxReceiveMessageBytes", "4 MiB", "defaultReceiveMessage = 4 << 20", python + " " + security},
		{"MaxConcurrentStreams", "1,000", "setDefault(&c.MaxConcurrentStreams, 1000)", python + " " + security},
		{"MaxConnectionBytes", "64 MiB", "defaultConnection = 64 << 20", python + " " + security},
		{"MaxMetadataBytes", "16 KiB", "setDefault(&c.MaxHeaderListBytes, 16<<10)", python + " " + security},
		{"MaxMetadataFields", "250", "setDefault(&c.MaxHeaderFields, 250)", security},
		{"SetupTimeout", "10 s", "setDefault(&c.SetupTimeout, 10*time.Second)", python + " " + security},
		{"WriteTimeout", "30 s", "setDefault(&c.WriteTimeout, 30*time.Second)", python + " " + security},
		{"Grace", "5 s", "defaultGrace = 5 * time.Second", python},
	} {
		field := regexp.MustCompile(`((?:\t+//.*\n)+)\t(?:\w+, )*` + tt.option + `\b`).FindStringSubmatch(options)
		if field == nil {
			t.Errorf("there is no option %s", tt.option)
			continue
		}
		if comment := strings.Join(strings.Fields(strings.ReplaceAll(field[1], "//", " ")), " "); !strings.Contains(comment, tt.value) {
			t.Errorf("the comment of %s does not say %s: %s", tt.option, tt.value, comment)
		}
		if !strings.Contains(code, tt.code) {
			t.Errorf("the default of %s is not %s", tt.option, tt.code)
		}
		for document := range strings.FieldsSeq(tt.documents) {
			if !regexp.MustCompile("(?m)^\\|.*`(?:ServerOptions\\.)?" + tt.option + "`.*\\| [^|]*" + tt.value).MatchString(read(t, document)) {
				t.Errorf("%s does not say that the default of %s is %s", document, tt.option, tt.value)
			}
		}
	}
}

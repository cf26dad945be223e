package codegen

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	tests := []struct {
		name    string
		set     [][2]string
		wantErr string
		want    func(o *options) any
		value   any
	}{
		{"default parts", nil, "", func(o *options) any { return partNames(o) }, "registrars servicers"},
		{"parts", [][2]string{{"parts", "fakes"}}, "", func(o *options) any { return partNames(o) }, "fakes"},
		{"no part", [][2]string{{"parts", ""}}, `option parts=: unknown part ""`, nil, nil},
		{"parts given twice", [][2]string{{"parts", "fakes"}, {"parts", "servicers"}}, "", func(o *options) any { return partNames(o) }, "servicers"},
		{"flag without a value", [][2]string{{"require_embedding", ""}}, "", func(o *options) any { return o.requireEmbedding }, true},
		{"flag turned off", [][2]string{{"version_in_header", "false"}}, "", func(o *options) any { return o.versionInHeader }, false},
		{"no suffix", [][2]string{{"package_suffix", ""}}, "", func(o *options) any { return o.packageSuffix }, ""},
		{"suffix that begins with a digit", [][2]string{{"package_suffix", "2"}}, "", func(o *options) any { return o.packageSuffix }, "2"},
		{"suffix with a slash", [][2]string{{"package_suffix", "a/b"}}, `"a/b" cannot end the name of a Go package`, nil, nil},
		{"skeleton without a directory", [][2]string{{"skeleton", ""}}, "option skeleton=: the value is missing", nil, nil},
		{"services with a gap", [][2]string{{"services", "a.B+"}}, "the name of a service is missing", nil, nil},
		{"rename without a name", [][2]string{{"rename", "a.B"}}, "want the full name of a service or method, a colon", nil, nil},
		{"rename to a keyword", [][2]string{{"rename", "a.B:func"}}, `"func" is no exported Go name`, nil, nil},
		{"renamed twice", [][2]string{{"rename", "a.B:C"}, {"rename", "a.B:D"}}, "a.B is renamed to C already", nil, nil},
		{"renamed twice to the same", [][2]string{{"rename", "a.B:C"}, {"rename", "a.B:C"}}, "", func(o *options) any { return o.goNames["a.B"] }, "C"},
		{"unknown", [][2]string{{"Parts", "fakes"}}, `unknown option "Parts"`, nil, nil},
		{"registrars without servicers", [][2]string{{"parts", "registrars+fakes"}}, "registrars need the servicers", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := newOptions()
			var err error
			for _, s := range test.set {
				if err == nil {
					err = o.set(s[0], s[1])
				}
			}
			if err == nil {
				err = o.check()
			}
			switch {
			case test.wantErr != "":
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error %v, want %q", err, test.wantErr)
				}
			case err != nil:
				t.Error(err)
			case test.want(o) != test.value:
				t.Errorf("got %v, want %v", test.want(o), test.value)
			}
		})
	}
}

func partNames(o *options) string {
	var names []string
	for _, p := range slices.Sorted(maps.Keys(o.parts)) {
		names = append(names, string(p))
	}
	return strings.Join(names, " ")
}

// TestUsage_NamesEveryOption looks for the options in --help and in the documentation.
func TestUsage_NamesEveryOption(t *testing.T) {
	for _, option := range optionList {
		if !strings.Contains(usage(), "  "+option.name+"="+option.value+"\n") {
			t.Errorf("--help does not name %s", option.name)
		}
	}
	for _, document := range []string{"../../docs/generator.md", "../../README.md"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, option := range optionList {
			if !strings.Contains(string(text), "`"+option.name+"=") {
				t.Errorf("%s does not name %s", document, option.name)
			}
		}
	}
	for line := range strings.SplitSeq(usage(), "\n") {
		if len(line) > 120 {
			t.Errorf("a line of --help is too long: %s", line)
		}
	}
}

// TestModel_IsDocumented looks for what templates may use in the documentation.
func TestModel_IsDocumented(t *testing.T) {
	documentation, err := os.ReadFile("../../docs/generator.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range exportedNames(reflect.TypeFor[*File](), reflect.TypeFor[*Service](), reflect.TypeFor[*Method]()) {
		if !strings.Contains(string(documentation), "`."+name+"`") {
			t.Errorf("docs/generator.md does not describe .%s", name)
		}
	}
}

// exportedNames returns the names of exported fields and methods of pointers to structs.
func exportedNames(types ...reflect.Type) []string {
	var names []string
	for _, typ := range types {
		for i := range typ.NumMethod() {
			names = append(names, typ.Method(i).Name)
		}
		for i := range typ.Elem().NumField() {
			if field := typ.Elem().Field(i); field.IsExported() {
				names = append(names, field.Name)
			}
		}
	}
	return names
}

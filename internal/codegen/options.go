package codegen

import (
	"fmt"
	"go/token"
	"sort"
	"strings"
)

// part is something that can be generated for each service.
type part string

const (
	partServicers  part = "servicers"
	partRegistrars part = "registrars"
	partFakes      part = "fakes"
)

// options is what the user asks of the plugin, beyond what protogen handles itself (paths=, module=, M…=).
type options struct {
	parts            map[part]bool
	packageSuffix    string
	requireEmbedding bool
	templateDir      string
	skeleton         string
	versionInHeader  bool
	services         map[string]bool   // nil: all of them
	goNames          map[string]string // full proto name -> Go name
}

// option describes one option: --help prints it, set checks a value and stores it.
type option struct {
	name  string
	value string // what --help calls the value
	help  string
	set   func(o *options, value string) error
}

// optionList holds the options in the order of --help.
var optionList = []option{
	{
		"parts", "PART+PART…",
		"What to generate for each service. The parts are\n" +
			"  servicers   the interface to implement, its unimplemented base, the names of the methods\n" +
			"  registrars  the function Add<Service>ToServer; needs servicers\n" +
			"  fakes       a test double of each servicer, in a file of its own: <name>_gogreeter_fake.pb.go\n" +
			"Default: servicers+registrars.",
		(*options).setParts,
	},
	{
		"package_suffix", "SUFFIX",
		"Put the code into a package of its own, in a directory below the messages': with the suffix \"grpc\" and\n" +
			"messages in package foo, into package foogrpc in foo/foogrpc. Default: the package of the messages.",
		(*options).setPackageSuffix,
	},
	{
		"require_embedding", "true|false",
		"Let a servicer compile only if it embeds Unimplemented<Service>Servicer. Default: false; to embed it is a\n" +
			"choice that each servicer makes.",
		func(o *options, value string) error { return setBool(&o.requireEmbedding, value) },
	},
	{
		"services", "NAME+NAME…",
		"Generate only for these services, given by their full names. Default: all.",
		(*options).setServices,
	},
	{
		"rename", "PROTO_NAME:GO_NAME",
		"Call a service or a method GO_NAME in Go, where two names clash: rename=my.pkg.Greeter.get_foo:GetFooOld.\n" +
			"May be given several times. What goes over the wire stays as it is.",
		(*options).setRename,
	},
	{
		"template_dir", "DIR",
		"Read templates from DIR. A file with the name of a built-in template replaces it; any other NAME.go.tmpl\n" +
			"writes a file of its own for each .proto file: <name>_gogreeter_NAME.pb.go. See docs/generator.md.",
		func(o *options, value string) error { return setString(&o.templateDir, value) },
	},
	{
		"skeleton", "DIR",
		"Instead of all that, write implementations: for each service, a type in the package in DIR with a method to\n" +
			"fill in for each RPC. Where the type is there already, add just the methods that it lacks. DIR is seen from\n" +
			"the working directory, and must be there, in a Go module. The plugin writes into it by itself: nothing goes\n" +
			"to the directory that is given as --gogreeter_out.",
		func(o *options, value string) error { return setString(&o.skeleton, value) },
	},
	{
		"version_in_header", "true|false",
		"Name the plugin's version in the header of each file. Default: false, so that an update of the plugin\n" +
			"touches no file that it has nothing new to say in.",
		func(o *options, value string) error { return setBool(&o.versionInHeader, value) },
	},
}

// newOptions returns the options of a user who gave none.
func newOptions() *options {
	return &options{
		parts:   map[part]bool{partServicers: true, partRegistrars: true},
		goNames: make(map[string]string),
	}
}

// set stores an option, as protogen hands it over: once for each that it does not know itself.
func (o *options) set(name, value string) error {
	for _, option := range optionList {
		if option.name != name {
			continue
		}
		if err := option.set(o, value); err != nil {
			return fmt.Errorf("option %s=%s: %w", name, value, err)
		}
		return nil
	}
	return fmt.Errorf("unknown option %q: this plugin's options are %s, and those of every Go plugin are %s",
		name, optionNames(), commonOptionNames)
}

// check finds what is wrong with the options together.
func (o *options) check() error {
	if o.parts[partRegistrars] && !o.parts[partServicers] {
		return fmt.Errorf("option parts: registrars need the servicers that they add: parts=servicers+registrars")
	}
	if o.requireEmbedding && o.parts[partFakes] && !o.parts[partServicers] {
		return fmt.Errorf("option parts: with require_embedding=true, fakes need the base that comes with the servicers: " +
			"parts=servicers+fakes")
	}
	return nil
}

func (o *options) setParts(value string) error {
	o.parts = make(map[part]bool)
	for name := range strings.SplitSeq(value, "+") {
		switch p := part(name); p {
		case partServicers, partRegistrars, partFakes:
			o.parts[p] = true
		default:
			return fmt.Errorf("unknown part %q: the parts are %s, %s and %s, joined by +",
				name, partServicers, partRegistrars, partFakes)
		}
	}
	return nil
}

func (o *options) setPackageSuffix(value string) error {
	// An empty suffix is the default, spelled out.
	if value != "" && !token.IsIdentifier("x"+value) {
		return fmt.Errorf("%q cannot end the name of a Go package: use letters, digits and underscores", value)
	}
	o.packageSuffix = value
	return nil
}

func (o *options) setServices(value string) error {
	o.services = make(map[string]bool)
	for name := range strings.SplitSeq(value, "+") {
		if name == "" {
			return fmt.Errorf("the name of a service is missing: want full names joined by +, such as a.v1.Foo+a.v1.Bar")
		}
		o.services[name] = true
	}
	return nil
}

func (o *options) setRename(value string) error {
	protoName, goName, ok := strings.Cut(value, ":")
	if !ok || protoName == "" {
		return fmt.Errorf("want the full name of a service or method, a colon, and its Go name: " +
			"my.pkg.Greeter.get_foo:GetFooOld")
	}
	if !token.IsIdentifier(goName) || !token.IsExported(goName) {
		return fmt.Errorf("%q is no exported Go name: use letters, digits and underscores, and begin with a capital", goName)
	}
	if old, ok := o.goNames[protoName]; ok && old != goName {
		return fmt.Errorf("%s is renamed to %s already", protoName, old)
	}
	o.goNames[protoName] = goName
	return nil
}

func setBool(to *bool, value string) error {
	switch value {
	case "true", "":
		*to = true
	case "false":
		*to = false
	default:
		return fmt.Errorf("want true or false")
	}
	return nil
}

func setString(to *string, value string) error {
	if value == "" {
		return fmt.Errorf("the value is missing")
	}
	*to = value
	return nil
}

const commonOptionNames = "paths, module, M, annotate_code, default_api_level and apilevelM"

func optionNames() string {
	names := make([]string, 0, len(optionList))
	for _, option := range optionList {
		names = append(names, option.name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// usage is what --help prints.
func usage() string {
	var b strings.Builder
	b.WriteString(`protoc-gen-gogreeter writes the server side of gRPC services for the gogreeter runtime. For each
.proto file with services it writes <name>_gogreeter.pb.go, which belongs beside what protoc-gen-go writes.

With buf, in buf.gen.yaml:

  plugins:
    - local: protoc-gen-go
      out: .
      opt: paths=source_relative
    - local: protoc-gen-gogreeter
      out: .
      opt: paths=source_relative

With protoc:

  protoc --go_out=. --go_opt=paths=source_relative --gogreeter_out=. --gogreeter_opt=paths=source_relative FILE.proto

Options, given as opt: in buf.gen.yaml or as --gogreeter_opt to protoc, several of them separated by commas:

`)
	for _, option := range optionList {
		fmt.Fprintf(&b, "  %s=%s\n", option.name, option.value)
		for line := range strings.SplitSeq(option.help, "\n") {
			fmt.Fprintf(&b, "      %s\n", line)
		}
	}
	b.WriteString(`
Options of every Go plugin:

  paths=import|source_relative    name the files after the Go import path (default) or after the .proto file
  module=PATH                     strip PATH from the names of the files
  M<FILE>=<IMPORT_PATH>[;<NAME>]  the Go package of a .proto file, instead of its option go_package
  annotate_code=true              write <file>.meta beside each file: which symbol comes from which line
  default_api_level=LEVEL         accepted, as is apilevelM<FILE>=LEVEL, and of no effect here

Run by hand, protoc-gen-gogreeter knows --help and --version.
`)
	return b.String()
}

package codegen

import "runtime/debug"

const pluginName = "protoc-gen-gogreeter"

// version is what the go command recorded when it built the plugin, such as v1.2.3.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

package codegen

import (
	"fmt"
	"io"
	"path"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// reportPlatforms tells of files whose messages are built for one platform only. That can be meant, so it is no mistake;
// on all other platforms the compiler misses the messages, and does not say why.
func reportPlatforms(files []*File, reports io.Writer) {
	for _, f := range files {
		messages := path.Base(f.source.GeneratedFilenamePrefix) + ".pb.go"
		if platform := gofile.PlatformOf(messages); platform != "" {
			fmt.Fprintf(reports, "%s: protoc-gen-go writes its messages to %s, which Go builds for %s only because of its name: "+
				"elsewhere the code of its services does not compile. Give the .proto file another name\n",
				f.Source, messages, platform)
		}
	}
}

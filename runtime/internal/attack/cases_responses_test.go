package attack

import (
	"fmt"
	"slices"
)

// responses are calls of methods of each kind, and what handlers answer.
func responses() (cases []amplification) {
	empty := content{Count: 1}
	accepting := []line{{Name: "grpc-accept-encoding", Value: "gzip"}}
	for _, m := range manners {
		add := func(limit, name string, g gene) {
			g.Vary = true
			cases = append(cases, amplification{limit, name + ", " + m.name, m.in(g)})
		}
		for _, method := range []string{"Echo", "Value", "Wait", "Read", "Chat", "Deaf", "Heedless"} {
			add("MaxConcurrentStreams", "calls of "+method, gene{Times: crew, Method: ours(method), Content: empty})
			add("MaxConcurrentStreams", "calls of "+method+" without a message", gene{Times: crew, Method: ours(method)})
			add("MaxConcurrentStreams", "calls of "+method+" that stay open", gene{Times: crew, Method: ours(method), End: open})
			add("Floods.Resets", "calls of "+method+" that are reset", gene{Times: crew, Method: ours(method), Content: empty, End: aborted})
		}
		add("MaxConcurrentStreams", "finished responses of 5 octets", gene{Times: crew, Method: ours("Echo"), Content: empty})
		add("MaxConnectionBytes, responses", "streams of responses of 1 MiB", gene{Times: crew, Method: ours("Mebis"), Content: empty})
		add("MaxConnectionBytes, responses", "responses of 1 MiB", gene{Times: 400, Method: ours("Mebi"), Content: empty})
		add("MaxConnectionBytes, responses", "responses of 1 MiB, with gzip", gene{Times: 400, Method: ours("Squeeze"), Content: empty, Fields: accepting})
		add("MaxConnectionBytes, responses", "error texts of 256 KiB", gene{Times: crew, Method: ours("Fail"), Content: empty})
		add("MaxConnectionBytes, responses", "trailing metadata of 48 KiB", gene{Times: crew, Method: ours("Trail"), Content: empty})
		add("MaxConnectionBytes, responses", "initial metadata of 48 KiB", gene{Times: crew, Method: ours("Lead"), Content: empty})
		add("MaxConnectionBytes, responses", "streams of messages that are echoed", gene{Times: 100, Method: ours("Chat"), Content: content{Count: 600, Size: 100}})
		add("MaxConnectionBytes, responses", "streams of messages without content that are echoed", gene{Times: 100, Method: ours("Chat"), Content: content{Count: 13_000}})
	}
	// A window of one octet, opened octet by octet.
	drip := genome{Window: 1, Genes: []gene{
		{Times: 1, Method: ours("Large"), Content: empty},
		{Times: 20_000, Frame: "WINDOW_UPDATE of a stream"},
	}}
	return append(cases, amplification{"MaxConnectionBytes, responses", "a response in windows of one octet", drip})
}

// companionServices are RPCs of health and reflection.
func companionServices() (cases []amplification) {
	const (
		check      = "/grpc.health.v1.Health/Check"
		watch      = "/grpc.health.v1.Health/Watch"
		list       = "/grpc.health.v1.Health/List"
		reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	)
	for _, m := range manners {
		add := func(name string, g gene) {
			g.Vary = true
			cases = append(cases, amplification{"health and reflection", name + ", " + m.name, m.in(g)})
		}
		name := func(size int) content { return content{Count: 1, Form: "name", Size: size} }
		squeezed := content{Count: 1, Form: "name", Size: 4<<20 - 20, Gzip: true}
		add("Check", gene{Times: crew, Method: check, Content: content{Count: 1}})
		add("Check of a name of 60 KiB", gene{Times: crew, Method: check, Content: name(60 << 10)})
		add("Check of a name of 4 MiB, with gzip", gene{Times: 60, Method: check, Content: squeezed})
		add("List", gene{Times: crew, Method: list, Content: content{Count: 1}})
		add("Watch", gene{Times: crew, Method: watch, Content: content{Count: 1}})
		add("Watch of a name of 1 octet", gene{Times: crew, Method: watch, Content: name(1)})
		add("Watch of a name of 60 KiB", gene{Times: crew, Method: watch, Content: name(60 << 10)})
		add("Watch of a name of 4 MiB, with gzip", gene{Times: crew, Method: watch, Content: squeezed})
		add("Watch of 15 names of 4 MiB, with gzip", gene{Times: 15, Method: watch, Content: squeezed})
		add("Watch with unknown fields of 4 MiB, with gzip", gene{Times: 15, Method: watch, Content: content{Count: 1, Form: "fields", Size: 4<<20 - 20, Gzip: true}})
		add("reflection that is not asked anything", gene{Times: crew, Method: reflection, End: open})
		for _, form := range []string{"", "file", "file ...", "symbol", "symbol ..", "extension", "numbers", "list"} {
			said := form
			if form == "" {
				said = "nothing"
			}
			add(fmt.Sprintf("reflection, asked for %s", said), gene{Times: 100, Method: reflection, Content: content{Count: 50, Form: form, Size: 26}, End: open})
		}
		for _, form := range []string{"list", "symbol ..", "file ..."} {
			add(fmt.Sprintf("reflection, asked for %s of 60 KiB", form), gene{Times: 10, Method: reflection, Content: content{Count: 2, Form: form, Size: 60 << 10}, End: open})
			add(fmt.Sprintf("reflection, asked for %s of 4 MiB, with gzip", form), gene{Times: 15, Method: reflection, Content: content{Count: 1, Form: form, Size: 4<<20 - 20, Gzip: true}, End: open})
		}
	}
	return cases
}

// frameFloods are frames that are no requests'.
func frameFloods() (cases []amplification) {
	waiting := gene{Times: 1, Method: ours("Deaf"), End: open}
	crowd := gene{Times: crew, Method: ours("Mebis"), Content: content{Count: 1}}
	limits := map[string]string{
		"PING": "Floods.Controls", "SETTINGS": "Floods.Controls", "SETTINGS of a window": "Floods.Controls",
		"SETTINGS of the table": "Floods.Controls", "PRIORITY": "Floods.Controls", "RST_STREAM": "Floods.Resets",
		"WINDOW_UPDATE of 0": "Floods.Resets", "DATA without content": "Floods.Empties", "DATA of padding": "Floods.Empties",
		"HEADERS without content": "Floods.Resets", "CONTINUATION": "MaxMetadataBytes",
	}
	sized := []string{"CONTINUATION", "DATA of padding", "DATA on a stream that has ended", "GOAWAY", "SETTINGS of a window", "a frame of an unknown type"}
	for _, m := range []manner{manners[1], manners[2]} {
		for _, kind := range floodNames {
			limit := limits[kind]
			if limit == "" {
				limit = "frames that have no bound"
			}
			sizes := []int{8}
			if slices.Contains(sized, kind) {
				sizes = []int{0, 1, 100, 384}
			}
			for _, size := range sizes {
				cases = append(cases, amplification{limit, fmt.Sprintf("%s, %d octets, %s", kind, size, m.name), m.in(waiting, gene{Times: 5000, Frame: kind, Size: size})})
			}
		}
	}
	return append(cases,
		amplification{"Floods.Controls", "SETTINGS of windows up and down, 999 streams wait", genome{Genes: []gene{
			{Times: crew, Method: ours("Wait"), End: open}, {Times: 900, Frame: "SETTINGS of a window", Size: 384},
		}}},
		amplification{"Floods.Controls", "SETTINGS of windows up and down, 999 streams send", genome{Unread: true, Genes: []gene{
			crowd, {Times: 100, Frame: "SETTINGS of a window", Size: 384},
		}}},
		amplification{"Floods.Resets", "RST_STREAM of 999 calls", genome{Window: wide, Genes: []gene{
			{Times: crew, Method: ours("Wait"), Content: content{Count: 1}, Vary: true}, {Times: crew, Frame: "RST_STREAM"},
		}}},
		amplification{"Floods.Resets", "WINDOW_UPDATE of 0 for 999 calls", genome{Window: wide, Genes: []gene{
			{Times: crew, Method: ours("Wait"), Content: content{Count: 1}, Vary: true}, {Times: crew, Frame: "WINDOW_UPDATE of 0"},
		}}},
	)
}

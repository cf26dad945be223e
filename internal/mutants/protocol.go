package main

// protocols are mutants of the seam for other protocols than gRPC.
var protocols = []group{
	{"runtime", []mutant{
		{name: "a protocol gets requests of gRPC", file: "dictionary.go", old: " && !isGRPC(request) {", new: " {", tests: "TestProtocol_OthersAreServedAsBefore"},
		{name: "a protocol gets requests with fields left out", file: "dictionary.go", old: "!request.Oversize && ", new: "", tests: "TestProtocol_OthersAreServedAsBefore"},
		{name: "RPCs with the same fields share a codec", file: "connection.go", old: "		if def.codec == nil && def.direct == nil {\n", new: "		if true {\n", tests: "TestCodec_SameFields"},
		{name: "fields that a protocol may keep are not counted", file: "call.go", old: "table.keepsFields || call != request {", new: "table.keepsFields {", tests: "TestProtocol_LargeHead"},
		{name: "interceptors get what is no RPC", file: "answer.go", old: "next != nil && r.def.direct == nil {", new: "next != nil {", tests: "TestProtocol_Answers"},
		{name: "observers take a page for an RPC", file: "rpc.go", old: "c != nil && r.def.direct == nil {", new: "c != nil {", tests: "TestProtocol_Introspection"},
		{name: "what a codec adds is given back to the window", file: "rpc.go", old: "				r.stream.Consumed(surplus)\n", new: "", tests: "TestProtocol_FlowOfRequest"},
		{name: "what a codec leaves out is kept from the window", file: "rpc.go", old: "	if r.stream.Consumed(surplus) {\n", new: "	if surplus < 0 {\n", tests: "TestCodec_RequestWaits"},
		{name: "the rest of a message is asked for before it is clear what is missing", file: "rpc.go", old: "r.cut(piece, i == len(messages)-1 && !endStream)", new: "r.cut(piece, i >= 0 && !endStream)", tests: "TestProtocol_FlowOfRequest"},
		{name: "a large message of a codec gets window without room", file: "room.go", old: "r.def.codec != nil && v.open.Load() && ", new: "r.def.codec != nil && ", tests: "TestCodec_LargeWaits"},
		{name: "a large message of a codec gets window once", file: "room.go", old: "r.def.codec != nil && v.open.Load() && ", new: "false && ", tests: "TestCodec_Large"},
		{name: "a status follows half of a message", file: "ending.go", old: "end.Broken || l.discard && r.stream.Waiting() > 0:", new: "end.Broken:", tests: "TestCodec_EndsInMessage"},
		{name: "half of an answer passes for a whole one", file: "direct.go", old: "	return protocol.End{Broken: true}\n", new: "	return protocol.End{}\n", tests: "TestProtocol_HandlerFails"},
		{name: "a limit for messages is one for content", file: "direct.go", old: "	if limit <= 0 || limit > most {\n", new: "	if true {\n", tests: "TestProtocol_FlowOfRequest"},
		{name: "HTTP/1.1 is taken from who has negotiated HTTP/2", file: "connection.go", old: "; secure || c.shared", new: "; secure && false || c.shared", tests: "TestProtocolConn_NotHTTP2"},
	}},
	{"runtime/internal/http2", []mutant{
		{name: "a connection that says goodbye is passed on", file: "passon.go", old: "	if c.life.stage != serving {\n", new: "	if false {\n", tests: "TestConn_PassOnTooLate"},
		{name: "a connection that was passed on has deadlines", file: "passon.go", old: "	c.nc.SetReadDeadline(time.Time{})\n", new: "	_ = time.Time{}\n", tests: "TestConn_PassOn"},
		{name: "a connection that was passed on gets our preface", file: "passon.go", old: "	c.out.drop()\n", new: "", tests: "TestConn_PassedOnEnds"},
		{name: "the end does not concern a connection that was passed on", file: "shutdown.go", old: "			c.releaseLocked()\n", new: "", tests: "TestConn_PassedOnEnds"},
	}},
	{"runtime/internal/socket", []mutant{
		{name: "a close waits for a write of another protocol", file: "tls_linux.go", old: "		u.mu.Unlock() // Close needs it, to end a write that waits\n", new: "		defer u.mu.Unlock()\n", tests: "TestUnderTLS_CloseEndsWrite"},
	}},
}

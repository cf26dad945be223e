package main

// account are mutants of what package runtime does with the accounts of connections.
var account = []group{
	{"runtime", []mutant{
		{name: "a grant and what is paid are both counted", file: "rpc.go", old: "	r.takeClaim()\n	if more", new: "	if more", tests: "TestAccount_LargeRequestIsCountedOnce"},
		{name: "a large request that was taken stays open", file: "requestmemory.go", old: "		t.account.UseUp(m.claim)\n", new: "", tests: "TestAccount_UrgentAgainAndAgain"},
		{name: "an RPC is finished at its first end", file: "rpcstate.go", old: "return s.set(stateRemoved)&stateFinished == stateReleased", new: "s.set(stateRemoved); return true", tests: "TestAccount_MetadataOfHandlersThatGoOn"},
		{name: "what comes after both ends is held for ever", file: "requestmemory.go", old: "	if t.held.Add(n) < 0 {", new: "	if t.held.Add(n); false {", tests: "TestTab_Balances"},
		{name: "a request without which no handler begins is never due", file: "room.go", old: "!r.queuesRequests) && waited:", new: "!r.queuesRequests) && false:", tests: "TestAccount_HandlersWaitForEachOther|TestAccount_PatientClients"},
		{name: "a request presses that no handler waits for", file: "room.go", old: "	handlerWaits := r.requests.handlerWaits && !r.state.hasEnded()", new: "	handlerWaits := !r.state.hasEnded()", tests: "TestAccount_EndedRPCReservesNothing"},
		{name: "a handler that waits for a request urges nobody", file: "answer.go", old: "		r.session.account.Urge() // the request may be waiting for room\n", new: "", tests: "TestAccount_UrgentOnceAwaited"},
		{name: "inflating waits for no room", file: "room.go", old: "if r.session.account.MayBegin() || !r.mayWait() {", new: "if true {", tests: "TestAccount_FullBehindInflation"},
		{name: "an RPC waits for room to inflate on a worker that others need", file: "room.go", old: "r.session.boundOf(m) == nil && ", new: "", tests: "TestAccount_FullBehindInflation"},
		{name: "a reader waits for room to inflate", file: "room.go", old: " && !m.inline.Load()", new: "", tests: "TestAccount_FullBehindInflation"},
		{name: "a response waits for room and its connection is not watched", file: "room.go", old: "	r.session.watchForStall()\n	r.session.h2.Flush() // the output", new: "	r.session.h2.Flush() // the output", tests: "TestAccount_FullForLong"},
		{name: "an RPC begins although there is no room", file: "room.go", old: "	if account.MayBegin() && account.Waiting(budget.ForBeginning) == 0 {", new: "	if account != nil {", tests: "TestAccount_HeldRPCsShareWorkers"},
		{name: "an RPC that ended in line is never released", file: "ending.go", old: "		r.redispatch() // so that Run", new: "		// it has waited", tests: "TestAccount_PatientClients"},
		{name: "a response is counted although its RPC has ended in line", file: "room.go", old: "			account.Drop(claim)\n			return false\n", new: "			return false\n", tests: "TestAccount_PatientClients"},
		{name: "late handshakes take their time", file: "accept.go", old: "	if asked >= listenersClosed {\n", new: "	if false {\n", tests: "TestServer_GraceLimitsLateHandshakes"},
	}},
}

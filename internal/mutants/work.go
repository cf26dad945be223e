package main

// work are mutants of package work.
var work = []group{
	{"runtime/internal/work", []mutant{
		{name: "a bounded number of workers is one more", file: "queue.go", old: "q.limit > 0 && q.running >= q.limit", new: "q.limit > 0 && q.running > q.limit", tests: "TestQueue_NothingWaitsForATask"},
		{name: "no worker comes while one is in a task", file: "queue.go", old: "	wake := q.wakeLocked()\n	promised", new: "	wake := false\n	promised", tests: "TestQueue_NothingWaitsForATask"},
		{name: "what a task leaves waits for the next one", file: "queue.go", old: "		if !promised {\n			w.flush()\n		}\n", new: "		_ = promised\n", tests: "TestQueue_NothingWaitsForATask"},
		{name: "a worker that comes for others flushes for this one", file: "queue.go", old: "promised = q.waking && q.flusher != nil", new: "promised = q.waking", tests: "TestQueue_NothingWaitsForATask"},
		{name: "a worker that arrives owes nothing", file: "queue.go", old: "		w.unflushed = q.flusher\n", new: "", tests: "TestQueue_NothingWaitsForATask"},
		{name: "a worker that has arrived is still on its way", file: "queue.go", old: "	if arrives {\n		q.waking = false\n	}\n", new: "", tests: "TestQueue_NothingWaitsForATask"},
		{name: "what a worker has left is never flushed", file: "queue.go", old: "no more\n		w.flush()\n", new: "no more\n", tests: "TestQueue_NothingWaitsForATask"},
		{name: "a worker that fails when it flushes is gone twice", file: "queue.go", old: "		q = nil // which counts on the worker no more\n		w.flush()\n", new: "		w.flush()\n		q = nil\n", tests: "TestQueue_FlusherFails"},
		{name: "a worker whose task ended the goroutine has no successor", file: "queue.go", old: "			go p.run(w, q, false)\n", new: "			_ = q\n", tests: "TestQueue_NothingWaitsForATask"},
		{name: "workers that are not needed stay", file: "queue.go", old: "	p.dismissLocked(p.spare)\n", new: "", tests: "TestPool_Trims"},
		{name: "workers that are needed go", file: "queue.go", old: "	p.spare = min(p.spare, last)\n", new: "", tests: "TestPool_Trims"},
		{name: "workers outlive the pool", file: "queue.go", old: "	p.dismissLocked(len(p.idle))\n", new: "", tests: "TestPool_Close"},
		{name: "workers that were busy outlive the pool", file: "queue.go", old: "	if p.closed {\n		return false", new: "	if false {\n		return false", tests: "TestPool_Close"},
		{name: "workers keep large buffers", file: "queue.go", old: "if cap(b) > MaxBuffer {", new: "if false {", tests: "TestWorker_Buffer"},
		{name: "workers keep no buffer", file: "queue.go", old: "	w.buffer = b\n", new: "	buffer.Put(b)\n", tests: "TestWorker_Buffer"},
		{name: "two tasks have the same buffer", file: "queue.go", old: "	w.buffer = nil\n	return b\n", new: "	return b\n", tests: "TestWorker_Buffer"},
		{name: "a turn comes too late, and is lost", file: "semaphore.go", old: "		p.Release()\n		return false\n", new: "		return false\n", tests: "TestPlaces_Over|TestPlaces_Stress"},
		{name: "a goroutine that has left has its turn", file: "semaphore.go", old: "		p.removeLocked(l, waits)\n		return true\n", new: "		return true\n", tests: "TestPlaces_Over"},
		{name: "a line that is empty has its turn", file: "semaphore.go", old: "		p.lines.Remove(l.entry)\n", new: "", tests: "TestPlaces_Over"},
		{name: "a line has its turn again and again", file: "semaphore.go", old: "	p.lines.MoveToBack(first)\n", new: "", tests: "TestPlaces_LinesTakeTurns"},
		{name: "a bounded number of places is one more", file: "semaphore.go", old: "	if p.free > 0 {", new: "	if p.free >= 0 {", tests: "TestPlaces_Over|TestPlaces_Stress"},
	}},
}

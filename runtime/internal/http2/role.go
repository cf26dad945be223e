package http2

// role is what the two ends of a connection do differently: [Conn] has one, and all else is written once. The reader calls
// its methods, but for lastStreamLocked.
type role interface {
	// begin is called before anything is read.
	begin()

	// takePreface takes what the peer sends before its first frame. It reports whether all of that was there. An error is
	// of a peer that does not speak HTTP/2: the connection ends without a GOAWAY frame.
	takePreface() (done bool, err error)

	// processBlock processes a whole field block, and with it the HEADERS frame that it began with.
	processBlock(b fieldBlock) error

	// afterSettings is called when the parameters of a SETTINGS frame have been applied.
	afterSettings()

	// dependsOnItself judges a PRIORITY frame by which a stream depends on itself.
	dependsOnItself(id uint32) error

	// processPushPromise says what is wrong with a PUSH_PROMISE frame.
	processPushPromise() error

	// processGoAway processes GOAWAY. last is the last of our streams that the peer has processed, or may process yet.
	// debug is valid during the call.
	processGoAway(last uint32, code ErrCode, debug []byte) error

	// lastStreamLocked returns what our GOAWAY frames name, the last of the peer's streams. It reports whether that is
	// certain; if not, streams may be on their way of which we do not know.
	lastStreamLocked() (last uint32, certain bool)
}

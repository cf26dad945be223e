package openload

// Frame types, flags and settings that are needed (RFC 9113, Section 6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameRSTStream    = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4

	settingMaxConcurrentStreams = 0x3
	settingInitialWindowSize    = 0x4

	defaultWindow = 1<<16 - 1
	largeWindow   = 1<<31 - 1
	maxFrame      = 1 << 14
)

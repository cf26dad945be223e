package http2

import "fmt"

// ErrCode is an error code of RFC 9113, Section 7.
type ErrCode uint32

// The error codes of RFC 9113, Section 7.
const (
	ErrCodeNo                 ErrCode = 0x0
	ErrCodeProtocol           ErrCode = 0x1
	ErrCodeInternal           ErrCode = 0x2
	ErrCodeFlowControl        ErrCode = 0x3
	ErrCodeSettingsTimeout    ErrCode = 0x4
	ErrCodeStreamClosed       ErrCode = 0x5
	ErrCodeFrameSize          ErrCode = 0x6
	ErrCodeRefusedStream      ErrCode = 0x7
	ErrCodeCancel             ErrCode = 0x8
	ErrCodeCompression        ErrCode = 0x9
	ErrCodeConnect            ErrCode = 0xa
	ErrCodeEnhanceYourCalm    ErrCode = 0xb
	ErrCodeInadequateSecurity ErrCode = 0xc
	ErrCodeHTTP11Required     ErrCode = 0xd
)

// errCodeNames are the names by code.
var errCodeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// String returns the code's name as RFC 9113 spells it.
func (code ErrCode) String() string {
	if code < ErrCode(len(errCodeNames)) {
		return errCodeNames[code]
	}
	return fmt.Sprintf("error code 0x%x", uint32(code))
}

// ConnError is a connection error (RFC 9113, Section 5.4.1): the connection ends with a GOAWAY frame that carries
// Code, and Reason as its debug data.
type ConnError struct {
	Code   ErrCode
	Reason string
}

// Error implements error.
func (e ConnError) Error() string {
	return fmt.Sprintf("http2: connection error %v: %s", e.Code, e.Reason)
}

// StreamError is a stream error (RFC 9113, Section 5.4.2): the stream ends with a RST_STREAM frame that carries Code.
type StreamError struct {
	StreamID uint32
	Code     ErrCode
	Reason   string
}

// Error implements error.
func (e StreamError) Error() string {
	return fmt.Sprintf("http2: stream %d: stream error %v: %s", e.StreamID, e.Code, e.Reason)
}

// GoAwayError says that the peer wants no more streams: those above LastStream it has not processed and will not.
type GoAwayError struct {
	LastStream uint32
	Code       ErrCode
	Debug      string // what the peer adds, for a log
}

// Error implements error. What the peer has sent for a log is quoted.
func (e GoAwayError) Error() string {
	return fmt.Sprintf("http2: GOAWAY with %v (%q); the last stream is %d", e.Code, e.Debug, e.LastStream)
}

// ResetError says that the peer ended a stream with a RST_STREAM frame.
type ResetError struct{ Code ErrCode }

// Error implements error.
func (e ResetError) Error() string {
	return fmt.Sprintf("http2: stream reset by the peer with %v", e.Code)
}

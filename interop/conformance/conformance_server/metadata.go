package main

import (
	"context"
	"encoding/base64"
	"strings"

	pb "github.com/gogreeter/gogreeter/interop/conformance/conformancepb"
	"github.com/gogreeter/gogreeter/runtime"
)

// sendMetadata sends the initial metadata of a response definition, and sets its trailing metadata.
func sendMetadata(ctx context.Context, definition interface {
	GetResponseHeaders() []*pb.Header
	GetResponseTrailers() []*pb.Header
},
) error {
	if err := runtime.SetTrailingMetadata(ctx, metadata(definition.GetResponseTrailers())); err != nil {
		return err
	}
	return runtime.SendInitialMetadata(ctx, metadata(definition.GetResponseHeaders()))
}

// In the suite's messages the values of binary headers are base64, as they are on the wire.

func metadata(headers []*pb.Header) runtime.Metadata {
	var md runtime.Metadata
	for _, header := range headers {
		key := strings.ToLower(header.GetName())
		for _, value := range header.GetValue() {
			if strings.HasSuffix(key, "-bin") {
				value = decoded(value)
			}
			md = append(md, runtime.Pair{Key: key, Value: value})
		}
	}
	return md
}

func headers(md runtime.Metadata) []*pb.Header {
	var all []*pb.Header
	at := make(map[string]*pb.Header)
	for _, pair := range md {
		header := at[pair.Key]
		if header == nil {
			header = &pb.Header{Name: pair.Key}
			at[pair.Key] = header
			all = append(all, header)
		}
		value := pair.Value
		if strings.HasSuffix(pair.Key, "-bin") {
			value = base64.RawStdEncoding.EncodeToString([]byte(value))
		}
		header.Value = append(header.Value, value)
	}
	return all
}

// decoded reads base64 with padding or without. What is neither goes on as it is.
func decoded(value string) string {
	octets, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil {
		return value
	}
	return string(octets)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
)

// routeChat leaves notes while it hears what was left at the same place before: one goroutine sends, this one receives.
func routeChat(ctx context.Context, stub routeGuideStub, features []*routeguide.Feature) error {
	fmt.Println("RouteChat, stream-stream: what did others say here before?")
	chat, err := stub.RouteChat(ctx)
	if err != nil {
		return err
	}
	here, there := features[0], features[1]
	notes := []*routeguide.RouteNote{
		{Location: here.GetLocation(), Message: "meet me at the top"},
		{Location: there.GetLocation(), Message: "closed today"},
		{Location: here.GetLocation(), Message: "where are you?"},
		{Location: here.GetLocation(), Message: "going home"},
	}
	for _, note := range notes {
		fmt.Printf("  -> at %s: %s\n", degrees(note.GetLocation()), note.GetMessage())
	}
	sent := make(chan error, 1)
	go func() {
		for _, note := range notes {
			if err := chat.Send(note); err != nil {
				sent <- err
				return
			}
		}
		sent <- chat.CloseSend()
	}()
	for {
		note, err := chat.Recv()
		if errors.Is(err, io.EOF) {
			return <-sent
		}
		if err != nil {
			return err
		}
		fmt.Printf("  <- at %s: %s\n", degrees(note.GetLocation()), note.GetMessage())
	}
}

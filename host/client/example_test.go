package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// deployed runs what "berth serve" does, and gives f the socket.
func deployed(f func(ctx context.Context, socket string)) {
	dir, err := os.MkdirTemp("", "berth-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cfg, diags := config.Parse([]byte(`
		state_dir = "`+dir+`/state"
		provider "mem" {}
		template "default" {
		  provider = "mem"
		  image    = "agent:1"
		}
	`), "example.hcl")
	if err := diags.Err(); err != nil {
		log.Fatal(err)
	}
	h, err := host.New(cfg, host.Options{Providers: map[string]provider.Plugin{"mem": mem.Plugin(mem.NewBackend("memory"))}})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	if err := h.WaitReady(ctx); err != nil {
		log.Fatal(err)
	}
	f(ctx, h.ControlSocket())
	stop()
	if err := <-done; err != nil {
		log.Fatal(err)
	}
}

// A chat's sandbox, from a host that runs as a process of its own.
func Example() {
	deployed(func(ctx context.Context, socket string) {
		c := client.New(socket)
		defer c.Close()
		s, err := c.Ensure(ctx, client.CreateRequest{Template: "default", ChatID: chat})
		if err != nil {
			log.Fatal(err)
		}
		again, err := c.Ensure(ctx, client.CreateRequest{Template: "default", ChatID: chat})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Status, again.ID == s.ID)
		if err := c.Delete(ctx, s.ID); err != nil {
			log.Fatal(err)
		}
		_, err = c.Get(ctx, "6ba7b810-9dad-11d1-80b4-00c04fd430c8")
		fmt.Println(errors.Is(err, client.CodeNotFound))
	})
	// Output:
	// running true
	// true
}

// A copy of what the host knows, kept for as long as ctx lives.
func ExampleClient_Watch() {
	deployed(func(ctx context.Context, socket string) {
		c := client.New(socket, client.WithOnDisconnect(func(err error) { log.Print(err) }))
		defer c.Close()
		if _, err := c.Create(ctx, client.CreateRequest{Template: "default", ChatID: chat}); err != nil {
			log.Fatal(err)
		}
		known := map[string]client.Session{}
		for ev := range c.Watch(ctx) {
			switch ev.Type {
			case client.EventResync:
				clear(known) // what is still so comes again
			case client.EventSnapshot, client.EventChanged:
				known[ev.Session.ID] = ev.Session
			case client.EventPruned:
				delete(known, ev.Session.ID)
			case client.EventSynced:
				fmt.Println(len(known), "session")
				return
			}
		}
	})
	// Output:
	// 1 session
}

package host_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

const chat = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"

// example runs a host on a provider that is linked in, and ends it after f.
func example(f func(context.Context, *host.Host)) {
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
		  ttl      = "5m"
		}
	`), "example.hcl")
	if err := diags.Err(); err != nil {
		log.Fatal(err)
	}
	h, err := host.New(cfg, host.Options{
		Providers: map[string]provider.Plugin{"mem": mem.Plugin(mem.NewBackend("memory"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	if err := h.WaitReady(ctx); err != nil {
		log.Fatal(err)
	}
	f(ctx, h)
	stop()
	if err := <-done; err != nil {
		log.Fatal(err)
	}
}

// A session from create to delete, on a provider that is linked into the program.
func ExampleHost() {
	example(func(ctx context.Context, h *host.Host) {
		s, err := h.Create(ctx, host.CreateRequest{Template: "default", ChatID: chat, AgentID: "writer"})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Status, s.ExpiresAt.Sub(s.CreatedAt))
		if err := h.Delete(ctx, s.ID); err != nil {
			log.Fatal(err)
		}
		s, err = h.Get(ctx, s.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Status, s.Ended.Reason)
	})
	// Output:
	// running 5m0s
	// ended deleted
}

// An extension that names the deadline it saw can be made again without adding twice.
func ExampleHost_Extend() {
	example(func(ctx context.Context, h *host.Host) {
		s, err := h.Create(ctx, host.CreateRequest{Template: "default", ChatID: chat})
		if err != nil {
			log.Fatal(err)
		}
		by := host.ExtendRequest{By: time.Minute, Seen: s.ExpiresAt}
		s, err = h.Extend(ctx, s.ID, by)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.ExpiresAt.Sub(s.CreatedAt))

		_, err = h.Extend(ctx, s.ID, by)
		var conflict *host.Error
		if errors.As(err, &conflict) && errors.Is(err, host.CodeConflict) {
			fmt.Println("conflict; it lives", conflict.Session.ExpiresAt.Sub(conflict.Session.CreatedAt))
		}
	})
	// Output:
	// 6m0s
	// conflict; it lives 6m0s
}

// Watch tells what is there, and then every change.
func ExampleHost_Watch() {
	example(func(ctx context.Context, h *host.Host) {
		for ev := range h.Watch(ctx) {
			switch {
			case ev.Type == host.EventSynced:
				go h.Create(ctx, host.CreateRequest{Template: "default", ChatID: chat, SessionID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8"})
			case ev.Session.Status == host.StatusRunning:
				fmt.Println(ev.Session.ID, "runs")
				go h.Delete(ctx, ev.Session.ID)
			case ev.Session.Status == host.StatusEnded:
				fmt.Println(ev.Session.ID, "ended:", ev.Session.Ended.Reason)
				return
			}
		}
	})
	// Output:
	// 6ba7b810-9dad-11d1-80b4-00c04fd430c8 runs
	// 6ba7b810-9dad-11d1-80b4-00c04fd430c8 ended: deleted
}

// Command embed is a Go platform in small: it runs a host of its own, gives a chat a
// sandbox, keeps it while the chat goes on, and deletes it.
//
//	go run ./examples/embed -config config.hcl -chat 1b4e28ba-2fa1-41d2-883f-0016d3cca427
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
)

func main() {
	path := flag.String("config", "config.hcl", "the configuration")
	chat := flag.String("chat", "", "the chat, a UUID")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *path, *chat); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path, chat string) (err error) {
	cfg, diags := config.Load(path)
	if err := diags.Err(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	h, err := host.New(cfg, host.Options{Logger: log})
	if err != nil {
		return err
	}

	// Whoever says go also waits: the host ends after everything else.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- h.Run(running) }()
	defer func() { stop(); err = errors.Join(err, <-done) }()

	template := cfg.Template("default")
	if template == nil {
		return fmt.Errorf("%s has no template \"default\"", path)
	}
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := h.WaitReady(ready, template.Provider); err != nil {
		return err
	}
	s, err := h.Create(ctx, host.CreateRequest{Template: template.Name, ChatID: chat, AgentID: "example"})
	if err != nil {
		return err
	}
	fmt.Printf("chat %s has sandbox %s, until %s\n", s.ChatID, s.SandboxID, s.ExpiresAt.Format(time.RFC3339))
	if s.Endpoint != nil {
		fmt.Printf("its agent answers at %s:%d\n", s.Endpoint.IP, s.Endpoint.Port)
	}

	// The chat goes on: push the deadline. Seen makes a call that is made again harmless.
	if s, err = h.Extend(ctx, s.ID, host.ExtendRequest{By: time.Minute, Seen: s.ExpiresAt}); err != nil {
		return err
	}
	fmt.Printf("extended until %s\n", s.ExpiresAt.Format(time.RFC3339))

	// The chat is over.
	if err := h.Delete(ctx, s.ID); err != nil {
		return err
	}
	s, err = h.Get(ctx, s.ID)
	if err != nil {
		return err
	}
	fmt.Printf("ended: %s\n", s.Ended.Reason)
	return nil
}

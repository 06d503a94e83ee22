package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/otlp"
	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// hostEnv holds the path of a configuration, in a process that is to be a host and no test.
const hostEnv = "BERTH_E2E_HOST"

// hostMain is the host process: host.New and Run on a configuration file. It takes orders
// on its standard input and ends at its end, or at SIGTERM.
func hostMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	s := &served{out: json.NewEncoder(os.Stdout)}
	err := s.run(ctx, os.Getenv(hostEnv))
	stop()
	if err == nil {
		// What reads the orders waits for a line that never comes.
		err = goleak.Find(goleak.IgnoreAnyFunction("github.com/berth-dev/berth/host/e2e.(*served).take"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "host process:", err)
		return 1
	}
	return 0
}

// served is a host that takes orders.
type served struct {
	h   *host.Host
	mu  sync.Mutex
	out *json.Encoder
}

func (s *served) say(r reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(r) // a test that is gone does not hear it
}

func (s *served) run(ctx context.Context, path string) (err error) {
	defer func() {
		if err != nil {
			s.say(reply{Err: faultOf(err)})
		}
	}()
	if spec := os.Getenv(smallDiskEnv); spec != "" {
		if err := mountSmallDisk(spec); err != nil {
			return err
		}
	}
	cfg, diags := config.Load(path)
	if err := diags.Err(); err != nil {
		return err
	}
	tracer, flush, err := otlp.TracerProvider(ctx, "berth", "e2e")
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if s.h, err = host.New(cfg, host.Options{Logger: log, TracerProvider: tracer}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.take(ctx, cancel)
	s.say(reply{Owner: s.h.Owner()})
	err = s.h.Run(ctx)
	bounded, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	if lost := flush(bounded); lost != nil {
		log.Warn("some spans were not exported", "err", lost)
	}
	return err
}

// take reads orders and carries each out in a goroutine of its own. The end of the input
// ends the host.
func (s *served) take(ctx context.Context, end context.CancelFunc) {
	defer end()
	for in := json.NewDecoder(os.Stdin); ; {
		var o order
		if err := in.Decode(&o); err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "host process: an order can't be read:", err)
			}
			return
		}
		go s.carryOut(ctx, o)
	}
}

func (s *served) carryOut(ctx context.Context, o order) {
	if o.Verb == "watch" {
		for ev := range s.h.Watch(ctx) {
			s.say(reply{ID: o.ID, Event: &ev})
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Within)
	defer cancel()
	r := reply{ID: o.ID}
	var session host.Session
	var err error
	switch o.Verb {
	case "create":
		session, err = s.h.Create(ctx, o.Create)
	case "ensure":
		session, err = s.h.Ensure(ctx, o.Create)
	case "get":
		session, err = s.h.Get(ctx, o.Session)
	case "extend":
		session, err = s.h.Extend(ctx, o.Session, o.Extend)
	case "stop":
		session, err = s.h.Stop(ctx, o.Session)
	case "delete":
		err = s.h.Delete(ctx, o.Session)
	case "list":
		r.Sessions, err = s.h.List(ctx, o.Filter)
	case "providers":
		r.Providers = s.h.Providers()
	case "ready":
		err = s.h.WaitReady(ctx)
	case "fill":
		err = smalldisk.Fill(o.Path)
	case "room":
		err = smalldisk.Room(o.Path)
	case "about":
		r.Owner, r.Metrics = s.h.Owner(), s.h.MetricsAddress()
	default:
		err = fmt.Errorf("no such order: %q", o.Verb)
	}
	if session.ID != "" {
		r.Session = &session
	}
	r.Err = faultOf(err)
	s.say(r)
}

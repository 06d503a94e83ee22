package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
)

// The demo's times. The whole of it takes about half a minute.
var demoTTLs = []time.Duration{14 * time.Second, 18 * time.Second, 22 * time.Second}

const (
	demoExtension  = 12 * time.Second
	demoReady      = 30 * time.Second
	demoLate       = 15 * time.Second // beyond which a reap counts as missed
	demoAnswerSize = 200
)

func (a *app) demo() *cobra.Command {
	template := "default"
	cmd := &cobra.Command{
		Use: "demo", Short: "Run a host, and show three sandboxes from create to reap", Args: cobra.NoArgs,
		Long: `Run a host on the configuration, create three sandboxes for three chats, call their
endpoints, extend one, kill the plugin, and show the TTLs running down until all are
reaped. The image and the network that the configuration names must be there; "make demo"
makes them, and removes them afterwards. It ends with 1 when it did not see what it was
to show.`,
		Example: "  berth demo --config config.hcl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			if cfg.Template(template) == nil {
				return &exitError{exitFailed, fmt.Errorf("demo: there is no template %q in %s", template, a.configPath)}
			}
			h, err := host.New(cfg, host.Options{Logger: log})
			if err != nil {
				return &exitError{exitFailed, fmt.Errorf("demo: %w", err)}
			}
			d := &demo{app: a, h: h, cfg: cfg, template: template, table: newSameplace(newScreen(a.out))}
			if err := d.run(cmd.Context()); err != nil {
				return &exitError{exitFailed, fmt.Errorf("demo: %w", err)}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&template, "template", template, "the `name` of the template to make sandboxes from")
	return cmd
}

// demo drives a host of its own.
type demo struct {
	*app
	h        *host.Host
	cfg      *config.Config
	template string
	table    *sameplace
	sessions []host.Session // in the order of their creation
	ended    map[string]host.Session
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) run(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var host sync.WaitGroup
	var hostErr error
	host.Go(func() { hostErr = d.h.Run(running) })
	err := d.story(ctx)
	if err != nil {
		d.cleanUp(running)
	}
	stop()
	host.Wait()
	return errors.Join(err, hostErr)
}

// cleanUp deletes what a story that broke off has left. It may have broken off while the
// plugin was dead: then it asks again.
func (d *demo) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, demoReady)
	defer cancel()
	list, _ := d.h.List(ctx, host.Filter{})
	for _, s := range list {
		err := d.h.Delete(ctx, s.ID)
		for errors.Is(err, host.CodeUnavailable) && pause(ctx, 50*time.Millisecond) == nil {
			err = d.h.Delete(ctx, s.ID)
		}
		if err != nil {
			d.say("could not delete session %s: %v", s.ID, err)
		}
	}
}

func (d *demo) story(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, demoReady)
	defer cancel()
	if err := d.awaitReady(ready); err != nil {
		return err
	}
	p := d.plugin()
	d.say("The host runs. Provider %q is ready: plugin %s, pid %d, generation %d, on %s.", p.Name, p.Info.Version, p.PID, p.Generation, p.Health.Version)
	if err := d.createAll(ctx); err != nil {
		return err
	}
	if err := d.extendFirst(ctx); err != nil {
		return err
	}
	if err := d.killPlugin(ctx); err != nil {
		return err
	}
	if err := d.awaitReaps(ctx); err != nil {
		return err
	}
	return d.report(ctx)
}

// awaitReady waits for the provider that the template uses: others may be down here.
func (d *demo) awaitReady(ctx context.Context) error { return d.h.WaitReady(ctx, d.provider()) }

// provider is the name of that provider. The template is there: the verb has looked.
func (d *demo) provider() string { return d.cfg.Template(d.template).Provider }

// plugin is the state of that provider.
func (d *demo) plugin() host.ProviderStatus {
	name := d.provider()
	for _, p := range d.h.Providers() {
		if p.Name == name {
			return p
		}
	}
	return host.ProviderStatus{}
}

// createAll makes the sandboxes side by side and calls each one's endpoint.
func (d *demo) createAll(ctx context.Context) error {
	d.say("\nThree chats ask for a sandbox from template %q:", d.template)
	d.sessions = make([]host.Session, len(demoTTLs))
	errs := make([]error, len(demoTTLs))
	took := make([]time.Duration, len(demoTTLs))
	var work sync.WaitGroup
	for i, ttl := range demoTTLs {
		work.Go(func() {
			began := time.Now()
			d.sessions[i], errs[i] = d.h.Create(ctx, host.CreateRequest{
				ChatID: uuid.NewString(), AgentID: "demo-" + strconv.Itoa(i+1), Template: d.template, TTL: ttl})
			took[i] = time.Since(began)
		})
	}
	work.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, s := range d.sessions {
		answer, err := d.call(ctx, s)
		if err != nil {
			return err
		}
		d.say("  chat %s  TTL %v  created in %v  GET http://%s/ → %s", short(s.ChatID), demoTTLs[i],
			took[i].Round(time.Millisecond), address(s), answer)
	}
	return nil
}

func (d *demo) extendFirst(ctx context.Context) error {
	before := d.sessions[0]
	s, err := d.h.Extend(ctx, before.ID, host.ExtendRequest{By: demoExtension, Seen: before.ExpiresAt})
	if err != nil {
		return err
	}
	d.sessions[0] = s
	d.say("\nChat %s is still busy: extended by %v, from %s to %s, on disk.", short(s.ChatID), demoExtension,
		clock(before.ExpiresAt), clock(s.ExpiresAt))
	return nil
}

// killPlugin ends the plugin the hard way and shows that nothing was lost.
func (d *demo) killPlugin(ctx context.Context) error {
	before := d.plugin()
	if before.PID == 0 {
		d.say("\nThe provider is linked in: there is no plugin process to kill.")
		return nil
	}
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the plugin: %w", err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, demoReady)
	defer cancel()
	for d.plugin().Generation == before.Generation {
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("the killed plugin was not replaced: %w", err)
		}
	}
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	after := d.plugin()
	d.say("\nkill -9 %d: the plugin is dead. Generation %d, pid %d, was ready %v later.",
		before.PID, after.Generation, after.PID, time.Since(began).Round(time.Millisecond))
	for i, s := range d.sessions {
		now, err := d.h.Get(ctx, s.ID)
		if err != nil {
			return err
		}
		if now.Status != host.StatusRunning || now.SandboxID != s.SandboxID {
			return fmt.Errorf("session %s was lost with the plugin: it is %s, on sandbox %s", s.ID, now.Status, now.SandboxID)
		}
		if _, err := d.call(ctx, now); err != nil {
			return err
		}
		d.sessions[i] = now
	}
	d.say("All %d sandboxes are the same as before and answer.\n", len(d.sessions))
	return nil
}

// awaitReaps shows the TTLs running down until every session has ended.
func (d *demo) awaitReaps(ctx context.Context) error {
	last := time.Now()
	for _, s := range d.sessions {
		if s.ExpiresAt.After(last) {
			last = s.ExpiresAt
		}
	}
	ctx, cancel := context.WithDeadlineCause(ctx, last.Add(demoLate), errors.New("a sandbox outlived its deadline"))
	defer cancel()
	d.ended = map[string]host.Session{}
	for {
		var rows []host.Session
		for _, s := range d.sessions {
			now, err := d.h.Get(ctx, s.ID)
			if err != nil {
				return err
			}
			if now.Status == host.StatusEnded {
				d.ended[now.ID] = now
			}
			rows = append(rows, now)
		}
		d.table.show(rows, time.Now())
		if len(d.ended) == len(d.sessions) {
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// report checks what was seen, and says it.
func (d *demo) report(ctx context.Context) error {
	d.say("\nSeen:")
	for _, s := range d.sessions {
		end := d.ended[s.ID]
		late := end.Ended.At.Sub(end.ExpiresAt)
		if end.Ended.Reason != host.ReasonExpired || late < 0 {
			return fmt.Errorf("session %s ended %v after its deadline, with the reason %s", s.ID, late, end.Ended.Reason)
		}
		d.say("  chat %s  lived %v, until its deadline; gone %v after it (%s)", short(s.ChatID),
			end.ExpiresAt.Sub(end.CreatedAt).Round(time.Millisecond), late.Round(time.Millisecond), end.Ended.Reason)
	}
	list, err := d.h.List(ctx, host.Filter{})
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return fmt.Errorf("%d sessions are left", len(list))
	}
	d.say("  %d sandboxes made, one extended, one plugin killed, nothing lost, nothing left.", len(d.sessions))
	return nil
}

// call asks a sandbox's agent, and returns the status and the first line of its answer.
func (d *demo) call(ctx context.Context, s host.Session) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(s)+"/", nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("call the sandbox of chat %s: %w", s.ChatID, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, demoAnswerSize))
	if err != nil {
		return "", err
	}
	if res.StatusCode/100 != 2 {
		return "", fmt.Errorf("the sandbox of chat %s answers %s", s.ChatID, res.Status)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return strings.TrimSpace(res.Status + " " + first), nil
}

// pause waits, or fails with the cause for which ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

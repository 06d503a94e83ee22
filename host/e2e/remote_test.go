package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// patience bounds what a test waits for that should come soon.
const patience = time.Minute

// remote is a host process as a test sees it.
type remote struct {
	t      testing.TB
	s      *site
	cmd    *exec.Cmd
	in     io.WriteCloser
	logs   *lines
	owner  string
	runs   bool          // it could be made
	exited chan struct{} // closed when it was reaped
	status error         // after exited

	mu      sync.Mutex
	next    int
	pending map[int]chan reply
	over    bool // no reply comes any more
}

// start starts a host on the site's configuration. It ends with the test, at the latest.
func (s *site) start(env ...string) *remote {
	s.t.Helper()
	h, first := s.launch(env...)
	if first.Err != nil {
		s.t.Fatalf("the host: %v", first.Err)
	}
	return h
}

// launch starts a host and returns its first words.
func (s *site) launch(env ...string) (*remote, reply) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	h := &remote{t: s.t, s: s, cmd: exec.Command(self), logs: &lines{}, exited: make(chan struct{}), pending: map[int]chan reply{}}
	h.cmd.Env = append(append(os.Environ(), hostEnv+"="+s.path("config.hcl"), "TMPDIR="+tempDir()), env...)
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, smallDiskEnv+"=") }) {
		h.cmd.SysProcAttr = smalldisk.OwnMounts()
	}
	h.cmd.Stderr = h.logs
	h.cmd.Dir = s.dir
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	first := h.expect(0)
	if err := s.begin(h.cmd); err != nil {
		s.t.Fatal(err)
	}
	go h.read(out)
	s.t.Cleanup(h.end)
	r, ok := <-first
	if !ok {
		s.t.Fatalf("the host ended at once:\n%s", h.logs)
	}
	h.owner, h.runs = r.Owner, r.Err == nil
	return h, r
}

// end ends the host, which does so by itself at the end of its input, and looks at how it
// went.
func (h *remote) end() {
	h.in.Close()
	select {
	case <-h.exited:
	case <-time.After(patience):
		h.t.Errorf("the host did not end; it is killed")
		h.cmd.Process.Kill()
		<-h.exited
	}
	text := h.logs.String()
	switch {
	case strings.Contains(text, "DATA RACE"):
		h.t.Errorf("the host has a data race:\n%s", text)
	case h.runs && h.status != nil && !h.killed():
		h.t.Errorf("the host ended with %v:\n%s", h.status, tail(text, 60))
	case h.t.Failed():
		h.t.Logf("log of host %d:\n%s", h.pid(), tail(text, 60))
	}
}

// read passes replies on until the host is gone.
func (h *remote) read(out io.Reader) {
	for in := json.NewDecoder(out); ; {
		var r reply
		if in.Decode(&r) != nil {
			break
		}
		h.mu.Lock()
		c := h.pending[r.ID]
		h.mu.Unlock()
		if c != nil {
			c <- r // watchers have a buffer
		}
	}
	h.status = h.cmd.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	for _, c := range h.pending {
		close(c)
	}
	close(h.exited)
}

func (h *remote) expect(id int) chan reply {
	c := make(chan reply, 4096)
	h.pending[id] = c
	return c
}

// send sends an order and returns where its replies come.
func (h *remote) send(o order) (<-chan reply, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return nil, errors.New("the host is gone")
	}
	h.next++
	o.ID = h.next
	if o.Within == 0 {
		o.Within = patience
	}
	c := h.expect(o.ID)
	line, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	_, err = h.in.Write(append(line, '\n'))
	return c, err
}

// do carries one order out. The error is a *fault, or tells that the host is gone.
func (h *remote) do(o order) (reply, error) {
	c, err := h.send(o)
	if err != nil {
		return reply{}, err
	}
	r, ok := <-c
	switch {
	case !ok:
		return reply{}, fmt.Errorf("the host went down during %s", o.Verb)
	case r.Err != nil:
		return r, r.Err
	}
	return r, nil
}

// must is do for what has to work.
func (h *remote) must(o order) reply {
	h.t.Helper()
	r, err := h.do(o)
	if err != nil {
		h.t.Fatalf("%s: %v", o.Verb, err)
	}
	return r
}

func (h *remote) ready() *remote {
	h.t.Helper()
	h.must(order{Verb: "ready"})
	return h
}

func (h *remote) create(req host.CreateRequest) host.Session {
	h.t.Helper()
	return *h.must(order{Verb: "create", Create: req}).Session
}

// lives creates a session of template "default" that has at least need to live once it is
// acknowledged, and not much more. On a machine that is so busy that a create takes longer
// than that it tries again, with more.
func (h *remote) lives(need time.Duration) host.Session {
	h.t.Helper()
	for ttl := need + time.Second; ; ttl *= 2 {
		req := chat()
		req.TTL = ttl
		r, err := h.do(order{Verb: "create", Create: req})
		switch {
		case err == nil && time.Until(r.Session.ExpiresAt) >= need:
			return *r.Session
		case err == nil:
			h.delete(r.Session.ID)
		case !strings.Contains(err.Error(), "its deadline passed while it was being created"):
			h.t.Fatalf("create: %v", err)
		}
		if ttl > patience {
			h.t.Fatalf("no create is done within %v", ttl)
		}
	}
}

// createSoon is create where create_timeout is short: on a busy machine that passes, and then
// it asks again.
func (h *remote) createSoon() host.Session {
	h.t.Helper()
	for end := time.Now().Add(patience); ; {
		r, err := h.do(order{Verb: "create", Create: chat()})
		if err == nil {
			return *r.Session
		}
		if !strings.Contains(err.Error(), "create_timeout of") || time.Now().After(end) {
			h.t.Fatalf("create: %v", err)
		}
	}
}

// refused is a create that has to fail.
func (h *remote) refused(req host.CreateRequest) *fault {
	h.t.Helper()
	r, err := h.do(order{Verb: "create", Create: req})
	var f *fault
	if !errors.As(err, &f) {
		h.t.Fatalf("a create that had to fail gave %+v, %v", r.Session, err)
	}
	return f
}

func (h *remote) get(id string) host.Session {
	h.t.Helper()
	return *h.must(order{Verb: "get", Session: id}).Session
}

func (h *remote) list() []host.Session {
	h.t.Helper()
	return h.must(order{Verb: "list"}).Sessions
}

func (h *remote) extend(id string, by time.Duration) host.Session {
	h.t.Helper()
	return *h.must(order{Verb: "extend", Session: id, Extend: host.ExtendRequest{By: by}}).Session
}

func (h *remote) stop(id string) host.Session {
	h.t.Helper()
	return *h.must(order{Verb: "stop", Session: id}).Session
}

func (h *remote) delete(id string) {
	h.t.Helper()
	h.must(order{Verb: "delete", Session: id})
}

// provider is the state of the provider block of that name.
func (h *remote) provider(name string) host.ProviderStatus {
	h.t.Helper()
	for _, p := range h.must(order{Verb: "providers"}).Providers {
		if p.Name == name {
			return p
		}
	}
	h.t.Fatalf("there is no provider %q", name)
	return host.ProviderStatus{}
}

// plugin is the state of the place's provider.
func (h *remote) plugin() host.ProviderStatus {
	h.t.Helper()
	return h.provider(h.s.on.name())
}

// ended waits until a session has ended and returns it.
func (h *remote) ended(id string, within time.Duration) host.Session {
	h.t.Helper()
	return h.reaches(id, host.StatusEnded, within)
}

// reaches waits until a session is shown with a status.
func (h *remote) reaches(id string, status host.Status, within time.Duration) host.Session {
	h.t.Helper()
	var s host.Session
	await(h.t, within, fmt.Sprintf("session %s is %s", id, status), func() bool {
		s = h.get(id)
		return s.Status == status
	})
	return s
}

// pid is the host's own.
func (h *remote) pid() int { return h.cmd.Process.Pid }

// kill9 kills the host, and sees that no plugin of it is left a second later.
func (h *remote) kill9(s *site) {
	h.t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	<-h.exited
	await(h.t, time.Second, "the killed host's plugins are gone", func() bool { return leftProcesses(s.path("state")) == nil })
}

func (h *remote) killed() bool {
	ws, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled()
}

// terminate ends the host gracefully.
func (h *remote) terminate() {
	h.t.Helper()
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	select {
	case <-h.exited:
	case <-ctx.Done():
		h.t.Fatal("the host did not end at SIGTERM")
	}
	if h.status != nil {
		h.t.Errorf("the host ended with %v:\n%s", h.status, tail(h.logs.String(), 30))
	}
}

func pidText(h *remote) string { return fmt.Sprint(h.pid()) }

//go:build chaos && linux

package e2e

import (
	"context"
	"maps"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/google/uuid"
)

// decoy is a container that Berth has not made.
type decoy struct {
	id      string // of the container, once it is known
	what    string
	made    time.Time
	until   time.Time // before it nobody may touch it; zero: never may anybody
	started string
}

const foreverDecoy = "another's"

// makeDecoy makes a container with some labels, past Berth.
func (l *lane) makeDecoy(what string, until time.Time, start bool, changed ...string) {
	ctx, cancel := context.WithTimeout(l.ctx, patience)
	defer cancel()
	session := uuid.NewString()
	labels := with(foreignLabels(), append([]string{"session_id", session, "endpoint_port", "0"}, changed...)...)
	l.model.mu.Lock()
	l.model.decoy[session] = decoy{what: what, made: time.Now(), until: until}
	l.model.mu.Unlock()
	made, err := l.api.ContainerCreate(ctx, &container.Config{Image: world.image, Labels: labels}, &container.HostConfig{NetworkMode: "none"}, nil, nil, "")
	if err != nil {
		return // the daemon may be down just now
	}
	l.model.decoyIs(session, func(d *decoy) { d.id = made.ID })
	if !start {
		return
	}
	if l.api.ContainerStart(ctx, made.ID, container.StartOptions{}) != nil {
		return
	}
	c, err := l.api.ContainerInspect(ctx, made.ID)
	if err != nil {
		return
	}
	l.model.decoyIs(session, func(d *decoy) { d.started = c.State.StartedAt })
}

// decoyIs notes more about a decoy.
func (m *model) decoyIs(session string, change func(*decoy)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.decoy[session]
	change(&d)
	m.decoy[session] = d
}

// forgetDecoys is told before the daemon ends every container.
func (m *model) forgetDecoys() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for session, d := range m.decoy {
		d.started, d.until = "", time.Time{}
		m.decoy[session] = d
	}
}

// makeForeign makes what nobody may touch: one without an owner, and one of another.
func (l *lane) makeForeign() {
	l.makeDecoy(foreverDecoy, time.Time{}, true)
	l.makeDecoy(foreverDecoy, time.Time{}, true, "berth.owner", "another-"+l.s.owner)
}

// makeOrphan makes a container of ours without a session: it has to go, in time.
func (l *lane) makeOrphan() {
	l.makeDecoy("orphan", time.Now().Add(chaosCreate-2*time.Second), false, "berth.owner", l.s.owner)
}

// makeAdoptee makes a container of an owner that the configuration names in adopt.
func (l *lane) makeAdoptee() {
	until := time.Now().Add(12 * time.Second).Truncate(time.Microsecond)
	l.makeDecoy("adoptee", until, true, "berth.owner", l.adopteeOwner(), "expires_at", until.UTC().Format("2006-01-02T15:04:05.000000")+"+00:00")
}

// decoysStand checks that nobody has touched the foreign containers, and that orphans and
// adoptees go in time, not before.
func (l *lane) decoysStand() bool {
	l.model.mu.Lock()
	all := map[string]decoy{}
	maps.Copy(all, l.model.decoy)
	l.model.mu.Unlock()
	for session, d := range all {
		if d.id == "" {
			continue
		}
		ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
		c, err := l.api.ContainerInspect(ctx, d.id)
		cancel()
		there := err == nil
		if err != nil && !cerrdefs.IsNotFound(err) {
			continue
		}
		switch {
		case d.what == foreverDecoy && d.started != "" && (!there || !c.State.Running || c.State.StartedAt != d.started):
			l.broke("a foreign container was touched: %.12s is there: %v, %+v", d.id, there, c.ContainerJSONBase)
		case !there && time.Now().Before(d.until):
			l.broke("%s %.12s has gone %v too early", d.what, d.id, time.Until(d.until))
		case !there:
			l.model.mu.Lock()
			delete(l.model.decoy, session)
			l.model.mu.Unlock()
		case d.what != foreverDecoy && time.Since(d.made) > 3*time.Minute:
			l.broke("%s %.12s is still there after %v", d.what, d.id, time.Since(d.made))
		default:
			continue
		}
		if l.ctx.Err() != nil {
			return false
		}
	}
	return true
}

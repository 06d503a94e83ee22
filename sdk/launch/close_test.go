package launch_test

import (
	"context"
	"syscall"
	"testing"
	"time"
)

// TestCloseAfterKillOnlyWaits: a killed process can't be drained, and nobody is warned of
// that. Its standard error is held open, so that its connection breaks well before its end
// is known.
func TestCloseAfterKillOnlyWaits(t *testing.T) {
	o := place(t)
	logs := record(&o)
	p := start(t, o)
	configure(t, p, `{"hold_stderr":"60s"}`)
	p.Kill()
	shut(t, p)
	if logs.has("level=WARN") {
		t.Errorf("a killed plugin makes warnings:\n%s", logs)
	}
}

// TestKillDuringCloseEndsTheDrain: the drain that Kill cuts off is no warning either.
func TestKillDuringCloseEndsTheDrain(t *testing.T) {
	o := place(t)
	o.DrainTimeout = time.Minute
	logs := record(&o)
	p := start(t, o)
	configure(t, p, `{"fault":[{"verb":"drain","hang":true}]}`)
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		closed <- p.Close(ctx)
	}()
	// The gate refuses calls from the drain on.
	within(t, 10*time.Second, "the plugin drains", func() bool {
		_, err := p.Plugin().Provider().Health(t.Context())
		return err != nil
	})
	begun := time.Now()
	p.Kill()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("Close returned %s after Kill", took)
	}
	if logs.has("level=WARN") {
		t.Errorf("a killed plugin makes warnings:\n%s", logs)
	}
}

// TestAPluginThatEndsByItselfDuringItsDrain: a service manager sends SIGTERM to the host
// and its plugins alike.
func TestAPluginThatEndsByItselfDuringItsDrain(t *testing.T) {
	o := place(t)
	logs := record(&o)
	p := start(t, o)
	configure(t, p, `{"hold_stderr":"60s"}`)
	if err := syscall.Kill(p.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "it no longer answers", func() bool { return p.Ping(t.Context()) != nil })
	shut(t, p)
	if logs.has("did not drain") {
		t.Errorf("a plugin that ends by itself makes warnings:\n%s", logs)
	}
}

// TestADrainThatHangsIsTold: what is wrong with a plugin that still runs is in the log.
func TestADrainThatHangsIsTold(t *testing.T) {
	o := place(t)
	o.DrainTimeout = 100 * time.Millisecond
	logs := record(&o)
	p := start(t, o)
	configure(t, p, `{"fault":[{"verb":"drain","hang":true}]}`)
	shut(t, p)
	if !logs.has("the plugin did not drain") {
		t.Errorf("nobody was told:\n%s", logs)
	}
}

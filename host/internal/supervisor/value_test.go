package supervisor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestALinkedPluginIsSupervisedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := mem.NewBackend("A")
		backend.Fail(mem.Configure, mem.Fault{Times: 2, Err: provider.Internal}) // it is tried again
		s, err := supervisor.New(supervisor.Options{Name: "mock", Settings: settings{},
			Launcher: supervisor.Value(mem.Plugin(backend))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		within, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		if err := s.WaitReady(within); err != nil {
			t.Error(err)
		}
		if r := s.Report(); r.PID != 0 || r.Info.Name != "mock" || r.Identity != "A" || r.Generation != 3 || len(r.Capabilities) == 0 {
			t.Errorf("report: %+v", r)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if backend.Calls(mem.Drain) != 1 {
			t.Errorf("drained %d times", backend.Calls(mem.Drain))
		}
		if st := s.Status(); st.State != lifecycle.Stopped {
			t.Errorf("state %s", st.State)
		}
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	full := supervisor.Options{Name: "mock", Settings: settings{}, Launcher: supervisor.Value(mem.Plugin(mem.NewBackend("A")))}
	for field, strip := range map[string]func(*supervisor.Options){
		"Name":     func(o *supervisor.Options) { o.Name = "" },
		"Settings": func(o *supervisor.Options) { o.Settings = nil },
		"Launcher": func(o *supervisor.Options) { o.Launcher = nil },
	} {
		o := full
		strip(&o)
		if _, err := supervisor.New(o); err == nil || !contains(err, "Options."+field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
}

package e2e

// gateTo is the way to the shared daemon through a socket of the test's own.
type gateTo struct {
	s     *site
	gate  *gate
	other *dockerd
}

func gateToDocker(s *site) detour {
	return &gateTo{s: s, gate: newGate(s, world.api.DaemonHost())}
}

func (d *gateTo) line() string {
	return "env = { DOCKER_HOST = \"unix://" + d.gate.path + "\" }\n"
}

func (d *gateTo) cut()          { d.gate.cut() }
func (d *gateTo) hush()         { d.gate.hush() }
func (d *gateTo) spare()        { d.other = newDockerd(d.s) }
func (d *gateTo) another()      { d.gate.lead("unix://" + d.other.socket()) }
func (d *gateTo) back()         { d.gate.lead(world.api.DaemonHost()) }
func (d *gateTo) cause() string { return "Cannot connect to the Docker daemon" }

func (d *gateTo) identities() (own, spare string) {
	d.s.t.Helper()
	return d.other.identity(world.api), d.other.identity(d.other.api)
}

func (d *gateTo) alone() bool {
	d.s.t.Helper()
	return len(containers(d.s.t, d.other.api)) == 0
}

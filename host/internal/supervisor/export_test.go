package supervisor

import "time"

// Hurry makes the waits between restarts short.
func (s *Supervisor) Hurry() { s.mostWait = time.Millisecond }

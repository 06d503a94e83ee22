package config

import "time"

// samples are sessions as a template may meet them: with a volume and without.
func samples() []Session {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	with := Session{
		ID:        "11111111-1111-4111-8111-111111111111",
		ChatID:    "22222222-2222-4222-8222-222222222222",
		AgentID:   "agent",
		Volume:    "/volume",
		CreatedAt: at,
		ExpiresAt: at.Add(5 * time.Minute),
	}
	without := with
	without.Volume = ""
	return []Session{with, without}
}

// rehearse evaluates a template for sample sessions, so that what can never work is
// found when the file is read.
func (s *section) rehearse(t *Template) {
	for _, sample := range samples() {
		before := len(s.diags)
		s.evaluate(t, sample)
		if len(s.diags) > before {
			return // the next would find much the same
		}
	}
}

package docker

import "sync"

// made remembers the labels of the containers that this process made, so that their
// fence can be checked without asking the daemon. A container's labels never change and
// its id is never used again, so what is remembered stays true. It is no more than a short
// cut: what it has forgotten is asked.
type made struct {
	mu     sync.Mutex
	labels map[string]map[string]string // by the container's full id
}

// maxMade is far above the number of containers that a daemon can run.
const maxMade = 16384

func (m *made) put(id string, labels map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.labels == nil || len(m.labels) >= maxMade {
		m.labels = make(map[string]map[string]string)
	}
	// What a fence is made of, and no more.
	m.labels[id] = map[string]string{labelOwner: labels[labelOwner], labelSessionID: labels[labelSessionID]}
}

// get returns nil for a container that is not remembered.
func (m *made) get(id string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.labels[id]
}

func (m *made) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.labels, id)
}

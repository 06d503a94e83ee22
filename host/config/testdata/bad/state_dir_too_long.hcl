state_dir = "/var/lib/agents/berth-of-the-second-department/and-a-rather-long-name"

control {
  socket = "/run/berth/berth.sock"
}

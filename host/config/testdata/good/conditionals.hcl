provider "docker" {
}

template "default" {
  provider = "docker"
  command  = session.volume == null ? ["run"] : ["run", "--volume", session.volume]
  env = {
    SESSION  = session.id
    CHAT     = session.chat_id
    AGENT    = session.agent_id
    VOLUME   = session.volume == null ? "" : session.volume
    CREATED  = session.created_at
    EXPIRES  = session.expires_at
    GREETING = "hello ${session.agent_id == "" ? "nobody" : session.agent_id}"
  }

  mount "data" {
    source = session.volume == null ? null : "${session.volume}/data"
    target = "/data"
  }

  mount "agent" {
    source = "/srv/agents/${session.agent_id}/home-${session.chat_id}"
    target = "/home/agent"
    create = true
    owner  = "1000:1000"
    mode   = "0750"
  }

  mount "tools" {
    source = "/srv/tools/"
    target = "/tools"
  }

  config {
    runtime = "runc"
  }
}

#!/bin/sh
# The demo without a daemon: sandboxes are process trees of this machine, in a directory of
# the demo's own that is gone afterwards. `make demo` has built bin/ before.
set -eu
cd "$(dirname "$0")/../.."

BERTH_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/berth-demo.XXXXXX")
BERTH_METRICS=127.0.0.1:0
export BERTH_ROOT BERTH_METRICS

# What a demo that was killed has left goes at its deadline, which is less than a minute away.
leave() {
  status=$?
  trap '' INT TERM
  tries=0
  while [ -n "$(ls "$BERTH_ROOT/process/sandboxes" 2>/dev/null)" ] && [ "$tries" -lt 60 ]; do
    bin/berth reap --expired --config config.hcl >/dev/null 2>&1 || true
    tries=$((tries + 1))
    sleep 1
  done
  if [ -n "$(ls "$BERTH_ROOT/process/sandboxes" 2>/dev/null)" ]; then
    echo "Sandboxes are left in $BERTH_ROOT." >&2
    exit 1
  fi
  rm -rf "$BERTH_ROOT"
  if [ "$status" -eq 0 ]; then echo "The directories of the demo are removed."; fi
  exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

chmod 0711 "$BERTH_ROOT"
mkdir "$BERTH_ROOT/chats" "$BERTH_ROOT/agent"
CGO_ENABLED=0 ${GO:-go} build -trimpath -ldflags '-s -w' -o "$BERTH_ROOT/agent/agent" ./plugins/docker/internal/agent
bin/berth demo --template process --config config.hcl --log-level error

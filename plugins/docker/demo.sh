#!/bin/sh
# The demo on Docker: names, image, network and directories of its own, all of which are
# gone afterwards, whatever happens in between. `make demo` has built bin/ before.
set -eu
cd "$(dirname "$0")/../.."

id=demo-$$-$(date +%s)
root=$(mktemp -d "${TMPDIR:-/tmp}/berth-$id.XXXXXX")
BERTH_ROOT=$root
BERTH_IMAGE=berth-$id:latest
BERTH_NETWORK=berth-$id
BERTH_METRICS=127.0.0.1:0
export BERTH_ROOT BERTH_IMAGE BERTH_NETWORK BERTH_METRICS

leave() {
  status=$?
  trap '' INT TERM
  label=
  if [ -s "$root/state/owner" ]; then label="--label berth.owner=$(cat "$root/state/owner")"; fi
  # shellcheck disable=SC2086
  bin/berth-docker-fixture down --image "$BERTH_IMAGE" --network "$BERTH_NETWORK" $label || status=1
  rm -rf "$root"
  if [ "$status" -eq 0 ]; then echo "Image, network and directories of the demo are removed."; fi
  exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$root/chats" "$root/dependencies" "$root/lambda-tools" "$root/volumes"
CGO_ENABLED=0 ${GO:-go} build -trimpath -ldflags '-s -w' -o "$root/agent" ./plugins/docker/internal/agent
bin/berth-docker-fixture up --image "$BERTH_IMAGE" --network "$BERTH_NETWORK" --agent "$root/agent"
bin/berth demo --config config.hcl --log-level error

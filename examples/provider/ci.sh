#!/bin/sh
# What CI runs in a clean checkout.
set -eu
cd "$(dirname "$0")"
make check build test
bin/berth-provider-example describe

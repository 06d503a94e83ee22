# Berth: what a developer and CI run. `make` prints this list.

GO       ?= go
TOOLS    := $(CURDIR)/.cache/bin
PACKAGES := ./...
TEST_FLAGS ?=

# Tools, pinned. They are built from source into .cache/bin when first needed.
BUF                := github.com/bufbuild/buf/cmd/buf@v1.75.0
PROTOC_GEN_GO      := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PROTOC_GEN_GO_GRPC := google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
PROTOC_GEN_CONNECT := connectrpc.com/connect/cmd/protoc-gen-connect-go@v1.21.1
STATICCHECK        := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# A current Docker engine, pinned. The daemon, its proxy and what it starts belong together;
# the machine's own may be of another time. What has changed its pin is built again.
ENGINES       := $(CURDIR)/.cache/engines
DOCKERD       := github.com/moby/moby/v2/cmd/dockerd@v2.0.0-beta.24
DOCKER_PROXY  := github.com/moby/moby/v2/cmd/docker-proxy@v2.0.0-beta.24
CONTAINERD    := github.com/containerd/containerd/v2/cmd/containerd@v2.4.2
SHIM          := github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2@v2.4.2
RUNC          := github.com/opencontainers/runc@v1.5.2
RUNSC         := gvisor.dev/gvisor/runsc@v0.0.0-20260905035102-160fafc42237

PROTO_TOOLS := $(addprefix $(TOOLS)/,buf protoc-gen-go protoc-gen-go-grpc protoc-gen-connect-go)
GENERATE    := PATH="$(TOOLS):$$PATH" buf generate

PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

.DEFAULT_GOAL := help
.PHONY: help build demo test race test-engine engines soak chaos chaos-engine bench check proto docs clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build berth and every provider into bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./host/cmd/berth ./plugins/docker/cmd/... ./plugins/process/cmd/... ./plugins/mock/cmd/...

demo: build ## three sandboxes from create to reap, on Docker, or as processes where no daemon answers; leaves nothing behind
	@if why=$$(bin/berth-docker-fixture ping 2>&1); then echo "The demo runs on Docker."; sh plugins/docker/demo.sh; \
	  else echo "No Docker daemon answers, so the demo runs on the process provider. ($$why)"; sh plugins/process/demo.sh; fi

# One package at a time: those that use Docker share one daemon, and what they wait for
# has deadlines. Each shows its skipped tests with their reasons and its result when it is
# done, and all that it has said when it failed. A result of before does not count where it
# depends on more than files: a daemon, the kernel. $(1): environment, $(2): flags.
define test
@log=$$(mktemp) || exit 1; trap 'rm -f "$$log"' EXIT; trap 'exit 1' INT TERM; \
  packages=$$($(GO) list $(PACKAGES)) || exit 1; result=0; \
  for p in $$packages; do failed=0; case $$p in (*/e2e|*/plugins/*|*/examples*) anew=-count=1 ;; (*) anew= ;; esac; \
    $(1) $(GO) test -v $$anew $(2) "$$p" >"$$log" 2>&1 || failed=1 result=1; \
    awk -v failed=$$failed '/^=== / { test = $$3; from = $$0 "\n"; next }  /^ *--- PASS: |^PASS$$/ { from = ""; next } \
      failed { print from $$0; from = ""; next }  /^(ok|\?) / { print } \
      /^ *--- SKIP: / { print $$0 said[$$3]; next }  { said[test] = said[test] "\n" $$0 }' "$$log"; \
  done; exit $$result
endef

test: ## all tests; those that need Docker are skipped, by name, where no daemon answers
	$(call test,CGO_ENABLED=0,-timeout 30m $(TEST_FLAGS))

race: ## the same under the race detector, without what tests binaries alone (wants a C compiler)
	$(call test,CGO_ENABLED=1,-race -short -timeout 45m $(TEST_FLAGS))

ENGINE_PACKAGES := ./plugins/docker/... ./host/e2e/... ./examples/...

# The tests know of no engine: they run on what looks like another machine; see
# plugins/docker/dockertest/cmd/berth-engine. No result of another engine counts there.
test-engine: engines $(TOOLS)/berth-engine ## the tests that need Docker, on a current engine of their own beside the machine's (Linux, root)
	@BERTH_REQUIRE_DOCKER=1 BERTH_REQUIRE_ENGINE=1 $(ON_ENGINE) $(MAKE) --no-print-directory test PACKAGES="$(ENGINE_PACKAGES)"

ON_ENGINE := $(TOOLS)/berth-engine --engines $(ENGINES) --log $(CURDIR)/.cache/engine.log
.PHONY: $(TOOLS)/berth-engine
$(TOOLS)/berth-engine:
	@$(GO) mod download && CGO_ENABLED=0 $(GO) build -o $@ ./plugins/docker/dockertest/cmd/berth-engine

SECONDS_OF_SOAK ?= 600
soak: ## the engine's simulation with fresh seeds, for SECONDS_OF_SOAK; stops at the first broken promise
	@end=$$(( $$(date +%s) + $(SECONDS_OF_SOAK) )); $(GO) test -c -o bin/lifecycle.test ./host/internal/lifecycle && \
	  while [ $$(date +%s) -lt $$end ]; do bin/lifecycle.test -test.run '^TestSimulation$$' -rapid.seed=$$(date +%s%N) || exit 1; done

SEED     ?= $(shell date +%s)
SEED     := $(SEED)
MINUTES  ?= 90
LANES    ?= 2
PROVIDER ?= docker
chaos: ## real hosts, plugins and sandboxes of PROVIDER (docker, or process) under faults drawn from SEED, for MINUTES at most (90: all of them); wants root, Linux and, for docker, dockerd
	@echo "SEED=$(SEED)"
	CGO_ENABLED=0 $(GO) test -tags crashpoints ./sdk/crash
	$(if $(filter docker,$(PROVIDER)),BERTH_REQUIRE_DOCKER=1 )CGO_ENABLED=0 nice -n 5 $(GO) test -tags chaos -count=1 -timeout 3h -v -run '^TestChaos$$' ./host/e2e -chaos.provider=$(PROVIDER) -chaos.seed=$(SEED) -chaos.minutes=$(MINUTES) -chaos.lanes=$(LANES)

chaos-engine: engines $(TOOLS)/berth-engine ## the same with Docker, on a current engine of its own
	@$(ON_ENGINE) $(MAKE) --no-print-directory chaos PROVIDER=docker SEED=$(SEED) MINUTES=$(MINUTES) LANES=$(LANES)

BOUNDARY := '^Benchmark(Mem|Boundary)$$'
bench: ## benchmarks; each prints its ratio to something honest in the same run, and fails over its target
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench . -skip $(BOUNDARY) -benchtime 1x -timeout 60m ./host ./host/e2e/... ./host/internal/lease/... ./plugins/docker/... ./plugins/process/...
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench $(BOUNDARY) -timeout 30m ./sdk/providertest/... ./plugins/docker ./plugins/process
	$(MAKE) -C examples/provider bench

check: $(PROTO_TOOLS) $(TOOLS)/staticcheck ## formatting, vet on four platforms, static analysis, generated code
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	@big=$$(git ls-files -z | xargs -0 -r sh -c 'for f; do [ ! -f "$$f" ] || [ "$$(wc -c <"$$f")" -le 500000 ] || echo "$$f"; done' sh); \
	  if [ -n "$$big" ]; then echo "over 500 kB, so it was built and not written: $$big"; exit 1; fi
	@for p in $(PLATFORMS); do echo "vet $$p"; \
	  CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet $(PACKAGES) || exit 1; done
	CGO_ENABLED=0 $(GO) vet -tags chaos,crashpoints ./host/e2e ./sdk/crash
	$(TOOLS)/staticcheck $(PACKAGES)
	$(TOOLS)/staticcheck -tags chaos,crashpoints ./host/e2e ./sdk/crash
	$(GO) mod tidy -diff
	$(GO) mod verify
	$(MAKE) -C examples/provider check
	cd examples/provider && $(TOOLS)/staticcheck ./...
	cd proto && PATH="$(TOOLS):$$PATH" buf lint
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && cd proto && \
	  for p in provider control; do $(GENERATE) --template $$p/buf.gen.yaml --path $$p -o "$$tmp" || exit 1; done && \
	  for f in $$(git ls-files '*.pb.go' '*.connect.go'); do diff -u "$$f" "$$tmp/$$f" || { echo "$$f is not current: run make proto"; exit 1; }; done && \
	  echo "generated code is current"

proto: $(PROTO_TOOLS) ## make the generated code again
	cd proto && for p in provider control; do $(GENERATE) --template $$p/buf.gen.yaml --path $$p || exit 1; done

docs: build ## write the providers' settings into their READMEs again
	@for p in docker process; do f=plugins/$$p/README.md; \
	  bin/berth providers docs $$p --config /dev/null >bin/docs.md || exit 1; \
	  awk '/^<!-- settings: end -->$$/ { skip = 0 } !skip { print } /^<!-- settings: `make docs`/ { skip = 1; while ((getline line < "bin/docs.md") > 0) print line }' "$$f" >bin/readme.md && \
	  cat bin/readme.md >"$$f"; done; rm -f bin/docs.md bin/readme.md

clean: ## remove what was built
	rm -rf bin .cache

# $(1): package and version, $(2): cgo, $(3): flags. The stamp bears the version.
define engine
ENGINE_STAMPS += $(ENGINES)/.$(notdir $(1))
$(ENGINES)/.$(notdir $(1)):
	GOBIN=$(ENGINES) CGO_ENABLED=$(2) $(GO) install $(3) $(1)
	@rm -f $(ENGINES)/.$(firstword $(subst @, ,$(notdir $(1))))@* && touch $$@
endef
$(eval $(call engine,$(DOCKERD),0,-ldflags "-X github.com/moby/moby/v2/dockerversion.Version=$(lastword $(subst @, ,$(DOCKERD)))"))
$(eval $(call engine,$(DOCKER_PROXY),0))
$(eval $(call engine,$(CONTAINERD),0))
$(eval $(call engine,$(SHIM),0))
$(eval $(call engine,$(RUNC),1,-tags seccomp))
$(eval $(call engine,$(RUNSC),0))

engines: $(ENGINE_STAMPS) ## build a current Docker engine and gVisor from source (minutes; wants gcc, pkg-config, libseccomp-dev)

$(TOOLS)/buf:
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install $(BUF)
$(TOOLS)/protoc-gen-go:
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install $(PROTOC_GEN_GO)
$(TOOLS)/protoc-gen-go-grpc:
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install $(PROTOC_GEN_GO_GRPC)
$(TOOLS)/protoc-gen-connect-go:
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install $(PROTOC_GEN_CONNECT)
$(TOOLS)/staticcheck:
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install $(STATICCHECK)

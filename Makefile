# Berth: what a developer and CI run. `make` prints this list.

GO       ?= go
TOOLS    := $(CURDIR)/.cache/bin
PACKAGES := ./...

# Tools, pinned. They are built from source into .cache/bin when first needed.
BUF                := github.com/bufbuild/buf/cmd/buf@v1.75.0
PROTOC_GEN_GO      := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PROTOC_GEN_GO_GRPC := google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
PROTOC_GEN_CONNECT := connectrpc.com/connect/cmd/protoc-gen-connect-go@v1.21.1
STATICCHECK        := honnef.co/go/tools/cmd/staticcheck@v0.8.2

PROTO_TOOLS := $(addprefix $(TOOLS)/,buf protoc-gen-go protoc-gen-go-grpc protoc-gen-connect-go)
GENERATE    := PATH="$(TOOLS):$$PATH" buf generate

PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

.DEFAULT_GOAL := help
.PHONY: help build demo test race soak bench check proto clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build berth and every provider into bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./host/cmd/berth ./plugins/docker/cmd/... ./plugins/mock/cmd/...

demo: build ## three sandboxes from create to reap, on Docker; leaves nothing behind
	@sh plugins/docker/demo.sh

# One package at a time: those that use Docker share one daemon, and what they wait for
# has deadlines. Each shows its skipped tests with their reasons and its result when it is
# done, and all that it has said when it failed. $(1): environment, $(2): flags.
define test
@log=$$(mktemp) || exit 1; trap 'rm -f "$$log"' EXIT; trap 'exit 1' INT TERM; \
  packages=$$($(GO) list $(PACKAGES)) || exit 1; result=0; \
  for p in $$packages; do failed=0; $(1) $(GO) test -v $(2) "$$p" >"$$log" 2>&1 || failed=1 result=1; \
    awk -v failed=$$failed '/^=== / { test = $$3; from = $$0 "\n"; next }  /^ *--- PASS: |^PASS$$/ { from = ""; next } \
      failed { print from $$0; from = ""; next }  /^(ok|\?) / { print } \
      /^ *--- SKIP: / { print $$0 said[$$3]; next }  { said[test] = said[test] "\n" $$0 }' "$$log"; \
  done; exit $$result
endef

test: ## all tests; those that need Docker are skipped, by name, where no daemon answers
	$(call test,CGO_ENABLED=0,-timeout 30m)

race: ## the same under the race detector (wants a C compiler)
	$(call test,CGO_ENABLED=1,-race -timeout 45m)

SECONDS_OF_SOAK ?= 600
soak: ## the engine's simulation with fresh seeds, for SECONDS_OF_SOAK; stops at the first broken promise
	@end=$$(( $$(date +%s) + $(SECONDS_OF_SOAK) )); $(GO) test -c -o bin/lifecycle.test ./host/internal/lifecycle && \
	  while [ $$(date +%s) -lt $$end ]; do bin/lifecycle.test -test.run '^TestSimulation$$' -rapid.seed=$$(date +%s%N) || exit 1; done

bench: ## benchmarks; each prints its ratio to something honest in the same run
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./host/e2e/... ./host/internal/lease/... ./plugins/docker/...

check: $(PROTO_TOOLS) $(TOOLS)/staticcheck ## formatting, vet on four platforms, static analysis, generated code
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	@for p in $(PLATFORMS); do echo "vet $$p"; \
	  CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet $(PACKAGES) || exit 1; done
	$(TOOLS)/staticcheck $(PACKAGES)
	$(GO) mod tidy -diff
	$(GO) mod verify
	cd proto && PATH="$(TOOLS):$$PATH" buf lint
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && cd proto && \
	  for p in provider control; do $(GENERATE) --template $$p/buf.gen.yaml --path $$p -o "$$tmp" || exit 1; done && \
	  for f in $$(git ls-files '*.pb.go' '*.connect.go'); do diff -u "$$f" "$$tmp/$$f" || { echo "$$f is not current: run make proto"; exit 1; }; done && \
	  echo "generated code is current"

proto: $(PROTO_TOOLS) ## make the generated code again
	cd proto && for p in provider control; do $(GENERATE) --template $$p/buf.gen.yaml --path $$p || exit 1; done

clean: ## remove what was built
	rm -rf bin .cache

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

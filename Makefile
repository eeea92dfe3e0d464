# Skybridge. `make` lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help

GO       ?= go
BIN      := bin/skybridge
LINT     := $(GO) tool -modfile=tools.mod golangci-lint
# What the codecs bind, and a C compiler.
PACKAGES := gcc libc6-dev pkg-config libopus-dev libvpx-dev libopenh264-dev libyuv-dev flite1-dev
# The real peers that the tests talk to.
PEERS    := baresip-core baresip-ffmpeg baresip-x11 xvfb x11-xserver-utils pulseaudio pulseaudio-utils openssl sip-tester chromium python3-aiortc ffmpeg sox prometheus tshark nftables
# Node.js from elsewhere brings its own npm, which Debian's would conflict with.
PEERS    += $(if $(shell command -v npm),,nodejs npm)
FUZZTIME ?= 60s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## start the server: prints the web link, the SIP address and the metrics URL
	@exec $(BIN) serve --adhoc --data .cache/data $(ARGS)

.PHONY: demo
demo: build ## the same, with synthetic callers in the room "demo"
	@exec $(BIN) demo --data .cache/data $(ARGS)

.PHONY: build
build: deps ## build bin/skybridge
	@mkdir -p bin .cache
	$(GO) build -o $(BIN) ./cmd/skybridge

.PHONY: test
test: deps ## run all tests with the race detector; tests of absent peers are skipped
	@# one package at a time: many of them keep real time with real peers
	$(GO) test -race -shuffle=on -count=1 -p 1 -timeout 20m ./...

.PHONY: check
check: deps ## vet, lint, formatting, go.mod
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(LINT) run

.PHONY: generate
generate: ## regenerate protobuf code and docs/subjects.md
	$(GO) build -o .cache/ google.golang.org/protobuf/cmd/protoc-gen-go
	PATH=$(CURDIR)/.cache:$$PATH $(GO) generate ./...

.PHONY: fuzz
fuzz: deps ## run every fuzz target for FUZZTIME (60s) each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
	  done; \
	done

.PHONY: bench
bench: build ## measure what calls cost on this machine, verified: the whole table (10 min); CLIP=FILE sends that
	$(BIN) bench codecs $(if $(CLIP),--clip $(CLIP))
	$(BIN) bench calls $(if $(CLIP),--clip $(CLIP)) $(ARGS)

.PHONY: bench-smoke
bench-smoke: build ## a minute of it: fails if calls became dearer by a fifth, over the codecs alone, than in bench/results/smoke.json
	@mkdir -p .cache
	@smoke() { \
		$(BIN) bench calls --smoke --seconds 5 --json > .cache/smoke.json && \
		$(BIN) bench compare --max-regression 0.20 bench/results/smoke.json .cache/smoke.json; \
	}; smoke || { echo "once more: what is noise is gone twice"; smoke && smoke; }

.PHONY: peers
peers: ## install the real peers that the tests talk to (Debian)
	@$(call install,$(PEERS),the test peers)

.PHONY: up
up: ## start NATS, two nodes, Prometheus and Grafana in containers
	docker compose up --build -d

.PHONY: down
down: ## stop them
	docker compose down

.PHONY: deps
deps: # install missing Debian packages
	@$(call install,$(PACKAGES),the codec libraries)

# install PACKAGES,PURPOSE: installs those that are missing, and says so.
define install
missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'install ok installed' || echo $$p; done); \
if [ -n "$$missing" ]; then \
  command -v apt-get >/dev/null || { echo "Please install $(2) yourself:" $$missing; exit 1; }; \
  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
  echo "Installing $(2) with apt-get:" $$missing; \
  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
fi
endef

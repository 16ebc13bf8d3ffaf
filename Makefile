# make demo     from nothing to a certificate whose CA key is in a (soft) HSM
# make up       both daemons, kept running under ./run; make down ends them
# make build    bin/hsmd and bin/pkid
# make test     everything that is tested, with what it needs
# make soak     ten minutes of faults under load, or as long as SOAK says
# make fuzz     each fuzz target for FUZZTIME
# make bench    signatures and certificates a second
# make clean    removes bin and run

STATICCHECK     := v0.8.2
CONSUL_TEMPLATE := v0.41.1
FUZZTIME        ?= 30s
SOAK            ?= 10m

# Programs that tests run, by version, so that a new version is built anew.
TOOLS           := $(CURDIR)/bin/tools
staticcheck     := $(TOOLS)/$(STATICCHECK)/staticcheck
consul-template := $(TOOLS)/$(CONSUL_TEMPLATE)/consul-template
promtool        := $(TOOLS)/promtool

# A Go older than go.mod asks for fetches the toolchain that go.mod names, also
# where its distribution has switched that off.
LOCAL_GO := $(shell cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null)
ifneq ($(firstword $(shell printf '%s\n' go1.27 $(LOCAL_GO) | sort -V)),go1.27)
export GOTOOLCHAIN := go1.27.3
endif

# Packages that are worth their time under the race detector: all that have
# goroutines of their own. Building Pebble for it is the dear part.
RACE := ./wire/... ./config ./hsmd/... ./pkid/hsm ./pkid/listen ./pkid/ca ./pkid/crl ./pkid/ocsp ./pkid/tidy ./pkid/mounts ./pkid/api ./pkid/store/...

.PHONY: build check test soak demo up down fuzz bench clean install-build install-demo install-test

build: install-build
	go build -o bin/ ./hsmd ./pkid

# Formatting and rules of the tree first: they are quick and say most.
check: install-build $(staticcheck)
	@unformatted=$$(gofmt -l config hsmd pkid test wire) && test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	go vet ./...
	$(staticcheck) ./...
	go test -count=1 -run 'TestImports|TestWall|TestStyle' ./test

# Tests that run beside others mostly wait, so more of them run than there are
# processors.
test: install-test check build $(consul-template) $(promtool)
	HSMPKI_BIN=$(CURDIR)/bin HSMPKI_CONSUL_TEMPLATE=$(consul-template) HSMPKI_PROMTOOL=$(promtool) go test -count=1 -parallel 4 -timeout 15m ./...
	go test -count=1 -race -timeout 15m $(RACE)

soak: install-test build
	HSMPKI_BIN=$(CURDIR)/bin HSMPKI_SOAK=$(SOAK) go test -count=1 -timeout 0 -v -run Soak ./test

demo: install-demo build
	test/demo/demo.sh

up: install-demo build
	test/demo/up.sh

down:
	test/demo/down.sh

fuzz:
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/:func / /' | while read -r file name; do \
		echo "$$(dirname $$file) $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$$(dirname $$file)" || exit 1; \
	done

bench: install-test build
	HSMPKI_BIN=$(CURDIR)/bin go test -run '^$$' -bench . -benchtime 3s -timeout 30m ./test/bench/...

clean: down
	rm -rf bin run

install-build install-demo install-test:
	@test/demo/install.sh $(@:install-%=%)

$(staticcheck):
	GOTOOLCHAIN=$$(go env GOVERSION) GOBIN=$(@D) go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK)

$(consul-template):
	GOTOOLCHAIN=$$(go env GOVERSION) GOBIN=$(@D) go install github.com/hashicorp/consul-template@$(CONSUL_TEMPLATE)

# Out of Debian's package, without installing the server that is in it too.
$(promtool):
	mkdir -p $(@D) && test/demo/promtool.sh $@

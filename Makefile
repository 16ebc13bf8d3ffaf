# make demo     from nothing to a certificate whose CA key is in a (soft) HSM
# make up       both daemons, kept running under ./run; make down ends them
# make build    bin/hsmd and bin/pkid
# make test     everything that is tested, with what it needs
# make soak     ten minutes of faults under load, or as long as SOAK says
# make fuzz     each fuzz target for FUZZTIME
# make bench    signatures and certificates a second
# make install  programs, manual pages, completions, units, under DESTDIR and PREFIX
# make packages .deb and .rpm of both, in bin/packages
# make test-packages  their life on a Debian that boots in a folder (as root)
# make clean    removes bin and run

STATICCHECK     := v0.8.2
CONSUL_TEMPLATE := v0.41.1
NFPM            := v2.45.2
FUZZTIME        ?= 30s
SOAK            ?= 10m

# Programs that tests run, by version, so that a new version is built anew.
TOOLS           := $(CURDIR)/bin/tools
staticcheck     := $(TOOLS)/$(STATICCHECK)/staticcheck
consul-template := $(TOOLS)/$(CONSUL_TEMPLATE)/consul-template
nfpm            := $(TOOLS)/$(NFPM)/nfpm
promtool        := $(TOOLS)/promtool

# Where make install puts things, and of which daemon.
PREFIX  ?= /usr/local
DESTDIR ?=
DAEMONS ?= hsmd pkid

# Of both packages: pkid is released with hsmd.
VERSION := $(shell sed -n 's/^const version = "\(.*\)"/\1/p' hsmd/main.go)

# Of a page of the handbook, what is for readers: without directives to the test, and
# with the names of files that are in the source alone.
reader := sed -E -e '/^<!--.*-->$$/d' -e '/^<!--/,/^-->$$/d' -e 's,\[([^]]*)\]\(\.\./([^)]*)\),\1 (\2 in the source),g'

# A Go older than go.mod asks for fetches the toolchain that go.mod names, also
# where its distribution has switched that off.
LOCAL_GO := $(shell cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null)
ifneq ($(firstword $(shell printf '%s\n' go1.27 $(LOCAL_GO) | sort -V)),go1.27)
export GOTOOLCHAIN := go1.27.3
endif

# Packages that are worth their time under the race detector: all that have
# goroutines of their own. Building Pebble for it is the dear part.
RACE := ./wire/... ./config ./hsmd/... ./pkid/hsm ./pkid/listen ./pkid/tracing ./pkid/token ./pkid/auth/... ./pkid/auditlog ./pkid/ca ./pkid/crl ./pkid/ocsp ./pkid/tidy ./pkid/mounts ./pkid/api ./pkid/store/...

.PHONY: build check test test-packages soak demo up down fuzz bench install packages clean install-build install-demo install-test install-packages

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

install: build
	@set -e; for d in $(DAEMONS); do \
		at="$(DESTDIR)$(PREFIX)"; \
		put() { install -D -m 0644 "$$1" "$$2"; }; \
		install -D -m 0755 bin/$$d "$$at/bin/$$d"; \
		mkdir -p bin/manual; \
		for kind in man bash zsh fish; do bin/$$d manual $$kind >bin/manual/$$d.$$kind; done; \
		put bin/manual/$$d.man "$$at/share/man/man8/$$d.8"; \
		put bin/manual/$$d.bash "$$at/share/bash-completion/completions/$$d"; \
		put bin/manual/$$d.zsh "$$at/share/zsh/site-functions/_$$d"; \
		put bin/manual/$$d.fish "$$at/share/fish/vendor_completions.d/$$d.fish"; \
		put $$d/systemd/$$d-sysusers.conf "$$at/lib/sysusers.d/$$d.conf"; \
		put $$d/package/$$d.hcl "$$at/share/doc/$$d/$$d.hcl"; \
		put LICENSE "$$at/share/doc/$$d/copyright"; \
		for f in $$d/systemd/drop-ins/*.conf; do put $$f "$$at/share/doc/$$d/drop-ins/$${f##*/}"; done; \
		if [ $$d = hsmd ]; then for f in handbook/*.md; do put $$f "$$at/share/doc/hsmd/$$f"; $(reader) -i "$$at/share/doc/hsmd/$$f"; done; fi; \
		for f in $$d/systemd/$$d.service $$d/systemd/$$d.socket; do \
			if [ -e $$f ]; then \
				put $$f "$$at/lib/systemd/system/$${f##*/}"; \
				sed -i "s#/usr/bin/$$d#$(PREFIX)/bin/$$d#" "$$at/lib/systemd/system/$${f##*/}"; \
			fi; \
		done; \
	done

packages: build $(nfpm)
	@set -e; rm -rf bin/stage; mkdir -p bin/packages; for d in hsmd pkid; do \
		$(MAKE) --no-print-directory install DAEMONS=$$d DESTDIR=bin/stage/$$d PREFIX=/usr; \
		for script in hsmd/package/*.sh; do sed "s/PROGRAM/$$d/g" $$script >bin/stage/$$d/$${script##*/}; done; \
		for kind in deb rpm; do \
			ARCH=$$(go env GOARCH) VERSION=$(VERSION) $(nfpm) package --config $$d/package/nfpm.yaml --packager $$kind --target bin/packages; \
		done; \
	done

# A Debian is made in a folder, and booted: needs root, systemd-nspawn and a
# mirror of packages.
test-packages: install-packages
	test/packages/life.sh

clean: down
	rm -rf bin run

install-build install-demo install-test install-packages:
	@test/demo/install.sh $(@:install-%=%)

$(staticcheck):
	GOTOOLCHAIN=$$(go env GOVERSION) GOBIN=$(@D) go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK)

$(consul-template):
	GOTOOLCHAIN=$$(go env GOVERSION) GOBIN=$(@D) go install github.com/hashicorp/consul-template@$(CONSUL_TEMPLATE)

# Out of Debian's package, without installing the server that is in it too.
$(promtool):
	mkdir -p $(@D) && test/demo/promtool.sh $@

$(nfpm):
	GOTOOLCHAIN=$$(go env GOVERSION) GOBIN=$(@D) go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM)

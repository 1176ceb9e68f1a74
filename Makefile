# make help lists the targets. Everything runs through the Go toolchain; tools are pinned here and fetched as Go modules.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# golangci-lint v2 bundles the analyzers that .golangci.yml enables; go run keeps the built tool in the build cache.
GOLANGCI := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SUMMARY := $(GO) run ./.ci/summary
# Arguments for demo, such as ARGS="-o json"; patterns for single tests, such as RUN=TestLayers.
ARGS ?=
RUN ?=
# What make bench runs: a pattern such as BENCH=Million or BENCH=BesideDistCp/4x512MiB.
BENCH ?= .
FUZZTIME ?= 20s
# STRICT=1 makes a skipped test a failure.
STRICT ?=

# The race detector needs cgo, and cgo a C compiler.
RACE ?= $(shell if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null; then echo -race; fi)
# Packages that start real servers are those that import the lab.
LIST := $(GO) list -e -f '{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}' ./...
OTHERS = $$($(LIST) | awk '!(/understudy\/(lab|e2e|bench)( |$$)| .*understudy\/lab/) { print $$1 }')
# The demo promises its story within seconds: that test has the machine to itself. Of all others three run at a time, the
# longest first: some wait for their servers while others compute. Beside them goes what gains nothing by the race detector,
# and behind that the short ones: else both processors were idle for a quarter of the second half.
ALONE := ^TestStoryInTime$$
LONGEST := ./workload/kafka ./filecopy/distcp ./control ./workload/kafka/internal/mirror ./wire/hdfs ./workload/storage ./filecopy/hdfs ./lab/hdfs ./lab/kafka ./filecopy/s3 ./journal/etcd ./demo ./workload/kafka/kafkasim
REST = $$($(GO) list -e ./... | grep -vxF "$$($(GO) list -e ./e2e $(LONGEST))")
# The linters vet, and no test reads debugging information: without both, sixty binaries are made in less time.
TESTFLAGS := -json -count=1 -vet=off -ldflags=-w "$${within[@]}" $(if $(RUN),-run '$(RUN)')
# The race detector makes the exploration of all states, the sweep of all crashes and large values too slow to be whole:
# they run once more without it, and with 400 topics where it looks at 120. The end-to-end tests run without it only: the
# product is a process of its own there, and what they use of the lab has tests of its own.
WHOLE := TestExploreEveryState|TestEveryGuardIsNeeded|TestPreemptionIsNeeded|TestCrashSweep|TestAsManyWorkloads|TestValuesLarger|TestThousandsOfTopics

# A test's garbage is small beside the machine's memory, and collecting it less often saves some CPU time. What
# measures memory sets its own; the end-to-end tests run the product as users do. And the race detector has the system clear
# what it knows of every object above 64 KiB, page by page, which costs more than to clear it itself.
LAZY := GOGC=400 GORACE=clear_shadow_mmap_threshold=67108864

.PHONY: help build test unit e2e sweep bench demo lint cover fuzz generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

build: ## build the product and the lab into bin/
	@mkdir -p bin
	$(GO) build -o bin/ ./cmd/...

test: ## unit, conformance, lab and end-to-end tests; names what it skips
	@$(if $(RACE),,echo "race detector off: no C compiler";) \
	for tool in java mvn npm krb5kdc kinit; do PATH=$$PATH:/usr/sbin command -v $$tool >/dev/null || echo "$$tool is missing: tests on real servers will be skipped"; done
	@source .ci/scratch; \
	{ failed=0; plain=$$(mktemp); \
	  $(if $(RUN),,$(GO) test $(TESTFLAGS) $(RACE) -timeout 10m -run '$(ALONE)' ./demo || failed=1;) \
	  { failed=0; \
	    $(GO) test $(TESTFLAGS) -timeout 30m ./e2e || failed=1; \
	    $(if $(RACE),$(if $(RUN),,UNDERSTUDY_TOPICS=400 $(LAZY) $(GO) test $(TESTFLAGS) -parallel 6 -timeout 20m -run '$(WHOLE)' ./control ./workload/kafka || failed=1;)) \
	    $(LAZY) $(GO) test $(TESTFLAGS) $(RACE) -p 2 -timeout 20m $(REST) || failed=1; \
	    exit $$failed; } >$$plain & \
	  $(LAZY) $(GO) test $(TESTFLAGS) $(RACE) $(if $(RUN),,-skip '$(ALONE)') -p 3 -timeout 30m $(LONGEST) || failed=1; \
	  wait $$! || failed=1; \
	  cat $$plain; rm -f $$plain; \
	  exit $$failed; } | $(SUMMARY) $(if $(STRICT),-strict)

unit: ## the tests that need no server, without the race detector, in about a minute
	@source .ci/scratch; $(LAZY) $(GO) test -json -short -vet=off -ldflags=-w "$${within[@]}" -p 2 -timeout 5m $(OTHERS) | $(SUMMARY)

e2e: ## the built binary against real clusters, one file per architecture
	$(GO) test -v -count=1 -timeout 30m $(if $(RUN),-run '$(RUN)') ./e2e/...

sweep: ## stop the engine at every append of its journal, on simulated Kafka clusters and between trees too; a quarter of an hour
	$(GO) test -count=1 -timeout 60m -run TestCrashSweep ./control
	$(GO) test -count=1 -timeout 60m -parallel 6 -run TestCrashSweep ./workload/kafka -stride 1 -width 4
	$(GO) test -count=1 -timeout 60m -run TestCrashSweep ./workload/storage -stride 1 -width 4

bench: ## benchmarks side by side with what a user would pick instead; BENCH=Million runs a part
	@failed=0; \
	$(GO) test -v -count=1 -timeout 60m -run '^$$' -bench '$(BENCH)' $(ARGS) ./bench/... || failed=1; \
	$(GO) test -v -count=1 -timeout 60m -run '^$$' -bench '$(BENCH)' -benchtime 1x ./filecopy/hdfs || failed=1; \
	exit $$failed

demo: ## the whole story on this machine, in seconds
	@mkdir -p bin
	@$(GO) build -o bin/ ./cmd/understudy
	@./bin/understudy demo $(ARGS)

lint: ## gofmt, vet, staticcheck, errcheck, revive, exhaustive, bodyclose
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); if [ -n "$$unformatted" ]; then echo "not formatted:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./... ./.ci/summary
	$(GOLANGCI) run ./...

cover: ## coverage of the tests that need no server
	$(GO) test -p 2 -timeout 10m -coverprofile=cover.out -coverpkg=./... $(OTHERS)
	@$(GO) tool cover -func=cover.out | tail -1

fuzz: ## every fuzz target for FUZZTIME each
	@for file in $$(grep -rl --include='*_test.go' '^func Fuzz' . || true); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
	    echo "$$name in $$file"; $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); \
	  done; \
	done

generate: ## rewrite generated files; a test fails when one is stale
	$(GO) generate ./...

clean: ## remove what was built here
	rm -rf bin dist cover.out

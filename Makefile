FUZZ ?= 20000x

.PHONY: build test sets race cuts crashes kills outage fuzz bench lint testnet kernels proto ci

build:
	CGO_ENABLED=0 go build -trimpath -o halos .

test:
	go test ./...

# What computes, with each set of kernels that this machine runs.
sets: build
	@for set in generic avx2 avx512; do \
	  HALOS_KERNEL=$$set ./halos version >/dev/null 2>&1 || { echo "$$set: not here"; continue; }; \
	  echo "$$set"; HALOS_KERNEL=$$set go test ./tensor ./model ./optim ./train || exit 1; \
	done

race:
	go test -race ./...

# Snapshots on a disk whose power is cut at so many points.
cuts:
	go test -run TestPowerCut -timeout 1h ./checkpoint -cuts 100000

# Jobs in virtual time whose processes crash so many times, amid everything else that
# can happen to them: about an hour on two cores.
crashes:
	go test -run 'TestCrashes$$' -timeout 24h -v ./roles -crashes 10000000

# A thousand real kills, by the ledger: about half an hour.
kills: build
	./halos testnet chaos --workload ledger --minutes 17 --kill 1s --pause 20s --cut 30s --undisturbed=false --json

# Ten minutes without a GPS, by the ledger: about half an hour.
outage: build
	./halos testnet chaos --workload ledger --minutes 33 --kill 0s --pause 0s --cut 0s --outage 10m --late=false --undisturbed=false --json

# Each fuzz target for FUZZ inputs: by count, since a time limit fails on a busy machine.
fuzz:
	@go list ./... | while read -r p; do \
	  go test -list '^Fuzz' $$p | grep '^Fuzz' | while read -r f; do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ) $$p >fuzz.log 2>&1 || { cat fuzz.log; rm -f fuzz.log; exit 1; }; \
	  done || exit 1; \
	done; rm -f fuzz.log

bench:
	go test -run '^$$' -bench . -benchtime 1s -count 5 ./tensor ./model ./optim

lint:
	golangci-lint run

testnet:
	go run . testnet

# Writes tensor's assembly for amd64 again, by the generator in tensor/gen.
kernels:
	cd tensor/gen && for isa in avx2 avx512; do \
	  go run . -isa $$isa -out ../$${isa}_amd64.s -stubs ../$${isa}_amd64.go -pkg tensor || exit 1; \
	done

# Needs protoc and protoc-gen-go.
proto:
	protoc --go_out=. --go_opt=paths=source_relative wire/halos.proto

ci:
	.ci/run

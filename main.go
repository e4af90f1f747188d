package main

import (
	_ "github.com/goccy/go-yaml"
	_ "github.com/libp2p/go-libp2p"
	_ "github.com/libp2p/go-libp2p-pubsub"
	_ "github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	_ "github.com/urfave/cli/v2"
	_ "gonum.org/v1/gonum/blas/gonum"
	_ "google.golang.org/protobuf/proto"
	_ "golang.org/x/sync/errgroup"
)

func main() {}

// Command gen writes tensor's assembly for amd64: the same loops for AVX2 and for
// AVX-512, which differ in the width of a vector, the number of registers and the
// way in which a loop's last elements are masked.
//
//	go run . -isa avx2 -out ../avx2_amd64.s -stubs ../avx2_amd64.go -pkg tensor
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func main() {
	name := flag.String("isa", "", "avx2 or avx512")
	flag.Parse()
	s, known := sets[*name]
	if !known {
		fmt.Fprintf(os.Stderr, "gen: -isa is %q, want avx2 or avx512\n", *name)
		os.Exit(2)
	}
	s.known = make(map[string]Mem)
	s.vectors()
	s.activations()
	s.norms()
	s.optimizers()
	s.blocks()
	s.products()
	s.measures()
	Generate()
}

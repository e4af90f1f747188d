// Command halos trains one language model on machines in different places.
package main

import (
	"os"

	"halos/cli"
)

func main() { os.Exit(cli.Main()) }

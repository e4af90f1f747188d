package node

import (
	"log/slog"
	"os"

	"github.com/libp2p/go-libp2p/gologshim"
)

// libp2p logs to stderr, past any logger of its user, what concerns its developers:
// a connection that cannot set keepalives, say. Whoever wants to see it sets its own
// variable.
func init() {
	if os.Getenv("GOLOG_LOG_LEVEL") == "" {
		gologshim.SetDefaultHandler(slog.DiscardHandler)
	}
}

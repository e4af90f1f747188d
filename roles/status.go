package roles

// ClientStatus is how far a client half is.
type ClientStatus struct {
	Seq     uint64 // of its newest delta
	Outbox  int    // deltas that are not durable
	Decided uint64
	Durable uint64
	State   string // what it does now
}

// ServerStatus is how far a server half is.
type ServerStatus struct {
	Version   uint64
	Clients   int    // connected
	Updates   uint64 // applied and not pushed yet
	Leased    uint64 // samples handed out and not committed
	Committed uint64 // samples
}

// Status describes the worker.
func (w *Worker) Status() ClientStatus {
	s := w.out.status()
	switch {
	case w.draining:
		s.State = "draining"
	case w.training:
		s.State = "training"
	case !w.out.welcome:
		s.State = "waiting for its server"
	case !w.have:
		s.State = "waiting for a model"
	case w.last != 0:
		s.State = "waiting for an answer"
	default:
		s.State = "waiting for a task"
	}
	return s
}

// Status describes the LPS as a server and as a client.
func (l *LPS) Status() (ServerStatus, ClientStatus) {
	s := l.server.status()
	s.Updates = l.updates
	return s, l.out.status()
}

// Status describes the GPS.
func (g *GPS) Status() ServerStatus { return g.server.status() }

func (s *server) status() ServerStatus {
	st := ServerStatus{Version: s.version, Leased: s.ledger.outstanding(), Committed: s.ledger.committed.Len()}
	for _, c := range s.clients {
		if c.live {
			st.Clients++
		}
	}
	return st
}

func (o *outbox) status() ClientStatus {
	s := ClientStatus{Seq: o.next - 1, Outbox: len(o.entries), Decided: o.decided, Durable: o.next - 1}
	if len(o.entries) > 0 {
		s.Durable = o.entries[0].Seq - 1
	}
	return s
}

package roles

// A snapshot costs a server that applies deltas throughput, more the larger the state:
// the copy stands in its way, and the writer may have half of its core. By time alone
// one begins only snapshotRest times what the last one took after that began, so that
// snapshots cost less than 2 % even then, but after snapshotLate ticks all the same.
const (
	snapshotRest = 32
	snapshotLate = 1200 // 5 min: a disk that stalled once does not hold the marks up for hours
)

// snapshots follows what is on its way to the disk: one at a time.
type snapshots struct {
	last    uint64          // id of the newest
	running bool            // the newest is being written
	again   bool            // another is wanted, once this one is done
	failed  bool            // the newest could not be written
	marks   map[string]mark // what it holds of the clients
	changes uint64          // the server's changes it holds
	since   int             // ticks since it began
	took    int             // ticks that the last one on disk took
}

// due reports that changes have waited long enough.
func (s *snapshots) due() bool {
	return s.since >= min(max(snapshotEvery, snapshotRest*s.took), snapshotLate)
}

// mark is how far a session has been decided.
type mark struct{ session, decided uint64 }

// snapshot asks for the state to be made durable now, or, while an earlier one is
// being written, once that is done.
func (s *server) snapshot() []Action {
	if s.snap.running {
		s.snap.again = true
		return nil
	}
	marks := make(map[string]mark, len(s.clients))
	for name, c := range s.clients {
		marks[name] = mark{c.session, c.decided}
	}
	s.snap = snapshots{last: s.snap.last + 1, running: true, marks: marks, changes: s.changes, took: s.snap.took}
	return []Action{Snapshot{ID: s.snap.last}}
}

// autosnapshot takes a snapshot when it is time: a client has used half its window,
// one that leaves still waits, changes have waited long enough, or now is set and
// there are any. After a failure it lets some time pass.
func (s *server) autosnapshot(now bool) []Action {
	if !s.ready || s.snap.running || s.snap.failed && s.snap.since < snapshotRetry {
		return nil
	}
	wanted := s.snap.again || s.snap.changes < s.changes && (now || s.snap.due())
	for _, c := range s.clients {
		open := c.decided - c.durable
		wanted = wanted || open > 0 && (c.leaving || open >= (s.window+1)/2)
	}
	if !wanted {
		return nil
	}
	return s.snapshot()
}

// snapshotDone moves the durable marks of clients and tells them. A snapshot that
// failed moves nothing and is tried again.
func (s *server) snapshotDone(ev SnapshotDone) []Action {
	if ev.ID != s.snap.last || !s.snap.running {
		return nil
	}
	s.snap.running = false
	s.snap.failed = ev.Failed
	if ev.Failed {
		s.snap.again = true
		return nil
	}
	s.snap.took = ev.Ticks
	var acts []Action
	for _, name := range s.names() {
		c := s.clients[name]
		m, ok := s.snap.marks[name]
		if !ok || m.session != c.session || m.decided <= c.durable {
			continue
		}
		c.durable = m.decided
		if c.live {
			acts = append(acts, Marks{Client: name, Session: c.session, Decided: c.decided, Durable: c.durable})
		}
	}
	return acts
}

// settled reports that the newest state is on disk.
func (s *server) settled() bool {
	return !s.snap.running && !s.snap.failed && s.snap.changes == s.changes
}

package bulk

import (
	"testing"
	"time"
)

func TestStaleFailure(t *testing.T) {
	r, f := offeredTo(t, testConfig, 4)
	r.Events()
	r.Tick(start.Add(testConfig.GiveUpAfter)) // fails, not yet told
	r.Drop("a")                               // its stream ended; a new one begins
	if err := r.Announce("a", announce(1, 5, f), start.Add(testConfig.GiveUpAfter+time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Events() {
		if e.Err != nil {
			t.Errorf("the new stream is ended for the old one's sake: %v", e.Err)
		}
	}
}

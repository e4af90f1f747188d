package bulk

import (
	"math/rand/v2"
	"testing"
	"time"
)

var storm = weather{
	loss: 0.05, duplicate: 0.05, corrupt: 0.02, stale: 0.5,
	jitter: 60 * time.Millisecond, breaks: 0.2,
}

// sizes of the frames of each client: mostly whole chunks and a rest, some of one
// byte, one chunk, the most that is allowed.
func sizes(seed uint64, clients, frames int) [][]int {
	rng := rand.New(rand.NewPCG(seed, 1))
	all := make([][]int, clients)
	for i := range all {
		for range frames {
			n := 1 + rng.IntN(testConfig.MaxFrame)
			switch rng.IntN(10) {
			case 0:
				n = 1
			case 1:
				n = testChunk
			case 2:
				n = testConfig.MaxFrame
			}
			all[i] = append(all[i], n)
		}
	}
	return all
}

func TestEveryFrameArrivesOnce(t *testing.T) {
	for _, tc := range []struct {
		name  string
		w     weather
		seeds uint64
	}{
		{"calm", weather{}, 1},
		{"loss", weather{loss: 0.2}, 2},
		{"duplicates", weather{duplicate: 0.5}, 1},
		{"reordered", weather{jitter: 200 * time.Millisecond}, 1},
		{"corrupt", weather{corrupt: 0.1}, 1},
		{"broken connections", weather{breaks: 1, stale: 0.5}, 2},
		{"storm", storm, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range tc.seeds {
				w := newWorld(seed, testConfig, tc.w, broken{})
				if err := w.run(sizes(seed, 8, 40)); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// A frame of 10,000 chunks arrives over connections of which none lasts long, and
// little of it is sent twice.
func TestTenThousandChunksOverBreakingLinks(t *testing.T) {
	c := testConfig
	c.MaxFrame, c.SlotBudget = 10_000*testChunk, 10_000*testChunk
	for _, tc := range []struct {
		name  string
		w     weather
		twice float64 // share of chunks sent again, at most
	}{
		{"broken connections", weather{breaks: 0.6, stale: 0.5}, 0.05},
		{"storm", storm, 0.2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(1, c, tc.w, broken{})
			if err := w.run([][]int{{10_000 * testChunk}}); err != nil {
				t.Fatal(err)
			}
			again := float64(w.sent-w.chunks) / float64(w.chunks)
			t.Logf("%d connections, %.1f %% sent again", w.clients[0].epoch, 100*again)
			if w.clients[0].epoch < 5 {
				t.Errorf("%d connections are no trial", w.clients[0].epoch)
			}
			if again > tc.twice {
				t.Errorf("%.3f of the chunks were sent again, want at most %.3f", again, tc.twice)
			}
		})
	}
}

// Without loss no chunk is published twice, and of a broken connection only those
// that were on their way.
func TestNothingIsSentInVain(t *testing.T) {
	for _, tc := range []struct {
		name   string
		w      weather
		b      broken
		frugal bool
	}{
		{"calm", weather{}, broken{}, true},
		{"reordered", weather{jitter: 200 * time.Millisecond}, broken{}, true},
		{"broken connections", weather{breaks: 1}, broken{}, true},
		{"no resume", weather{breaks: 1}, broken{resume: true}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := testConfig
			c.ChunkBudget = 8 // two for each: a transfer outlives some connections
			w := newWorld(1, c, tc.w, tc.b)
			if err := w.run(sizes(1, 4, 50)); err != nil {
				t.Fatal(err)
			}
			if frugal := w.sent <= w.chunks+w.lost; frugal != tc.frugal {
				t.Errorf("published %d for %d chunks, %d lost with connections: frugal %v, want %v", w.sent, w.chunks, w.lost, frugal, tc.frugal)
			}
		})
	}
}

// Chunks that are late, not lost, are asked for again a few times at first, then
// the receiver has learned to wait.
func TestPatienceOnASlowLink(t *testing.T) {
	w := newWorld(1, testConfig, weather{delay: 1200 * time.Millisecond}, broken{})
	if err := w.run(sizes(1, 2, 60)); err != nil {
		t.Fatal(err)
	}
	if vain := w.sent - w.chunks; vain > w.chunks/20 {
		t.Errorf("published %d for %d chunks, want at most a twentieth more", w.sent, w.chunks)
	}
}

// Each mechanism is there for a reason: without it some run goes wrong.
func TestSimulationBites(t *testing.T) {
	for _, tc := range []struct {
		name string
		b    broken
	}{
		{"no repair", broken{repair: true}},
		{"no credit", broken{credit: true}},
		{"no attempt in the message", broken{attempt: true}},
		{"no CRC", broken{crc: true}},
		{"no CRC and no SHA-256", broken{crc: true, sha: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(2) {
				w := newWorld(seed, testConfig, storm, tc.b)
				err := w.run(sizes(seed, 8, 40))
				if err == nil {
					t.Errorf("seed %d: got no error", seed)
				}
				t.Log(err)
			}
		})
	}
}

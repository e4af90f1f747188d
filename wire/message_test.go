package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

func credit() *ToClient {
	return &ToClient{Body: &ToClient_Credit{Credit: &Credit{Session: 1, Seq: 2, Upto: 300}}}
}

const goldenCreditHex = "09" + "1a07" + "0801" + "1002" + "18ac02"

func TestMessageGolden(t *testing.T) {
	ask := &ToServer{Body: &ToServer_Ask{Ask: &Ask{Samples: 300, Speed: 1, Rate: 2, Stock: 5}}}
	for _, tc := range []struct {
		message proto.Message
		hex     string
	}{
		{credit(), goldenCreditHex},
		{ask, "19" + "1a17" + "08ac02" + "11000000000000f03f" + "190000000000000040" + "2005"},
	} {
		var w bytes.Buffer
		if err := WriteMessage(&w, tc.message); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(w.Bytes()); got != tc.hex {
			t.Errorf("%v: got %s, want %s", tc.message, got, tc.hex)
		}
	}
}

func TestMessagesFollowEachOther(t *testing.T) {
	long := &ToClient{Body: &ToClient_Reject{Reject: &Reject{Detail: strings.Repeat("x", 100_000)}}}
	sent := []*ToClient{credit(), {}, long, credit()}
	var w bytes.Buffer
	for _, m := range sent {
		if err := WriteMessage(&w, m); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(&w)
	got := credit() // reset by each read
	for i, want := range sent {
		if err := ReadMessage(r, got, 1<<20); err != nil || !proto.Equal(got, want) {
			t.Fatalf("message %d: got %v, %v, want %v", i, got, err, want)
		}
	}
	if err := ReadMessage(r, got, 1<<20); err != io.EOF {
		t.Errorf("at the end: got %v, want io.EOF itself", err)
	}
}

func TestReadMessageRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		hex  string
		want error
	}{
		{"end before a message", "", io.EOF},
		{"end in the length", "80", io.ErrUnexpectedEOF},
		{"end behind the length", "09", io.ErrUnexpectedEOF},
		{"end in the message", goldenCreditHex[:8], io.ErrUnexpectedEOF},
		{"longer than allowed", "21", ErrTooLarge},
		{"length of 64 bits", "ffffffffffffffffff01", ErrTooLarge},
		{"length beyond 64 bits", "ffffffffffffffffffff01", ErrFrame},
		{"not a protobuf", "02ffff", ErrFrame},
		{"not UTF-8", "06" + "1204" + "1202" + "ffff", ErrFrame},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := hex.DecodeString(tc.hex)
			if err != nil {
				t.Fatal(err)
			}
			if err := ReadMessage(bufio.NewReader(bytes.NewReader(b)), &ToClient{}, 32); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestMessagePassesStreamErrorsOn(t *testing.T) {
	reset := errors.New("stream reset")
	if err := WriteMessage(failing{reset}, credit()); !errors.Is(err, reset) {
		t.Errorf("write: got %v, want %v", err, reset)
	}
	if err := ReadMessage(bufio.NewReader(failing{reset}), credit(), 32); !errors.Is(err, reset) {
		t.Errorf("read: got %v, want %v", err, reset)
	}
}

// A peer that claims a large message and sends nothing of it takes no memory.
func TestReadMessageBoundsAllocation(t *testing.T) {
	claim, _ := hex.DecodeString("ffffff3f00") // 128 MiB, one byte of it
	r := bufio.NewReader(nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		r.Reset(bytes.NewReader(claim))
		if err := ReadMessage(r, &ToClient{}, 1<<30); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / 100; got > 8192 {
		t.Errorf("got %d bytes allocated for one byte, want at most 8192", got)
	}
}

func TestControlBytes(t *testing.T) {
	got := string(ControlBytes("/halos/beef/global/control", []byte{1, 0, 2}))
	if want := "halos control\x00/halos/beef/global/control\x00\x01\x00\x02"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzReadMessage(f *testing.F) {
	b, _ := hex.DecodeString(goldenCreditHex)
	f.Add(b)
	f.Add(append(b, b...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		for {
			m := &ToServer{}
			if err := ReadMessage(r, m, 1<<10); err != nil {
				return
			}
			var w bytes.Buffer
			if err := WriteMessage(&w, m); err != nil {
				t.Fatal(err)
			}
			back := &ToServer{}
			if err := ReadMessage(bufio.NewReader(&w), back, 1<<20); err != nil || !proto.Equal(back, m) {
				t.Errorf("got %v back, %v, want %v", back, err, m)
			}
		}
	})
}

package stripes

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestGreetingOnTheWire(t *testing.T) {
	id := [16]byte{0: 0xa0, 15: 0xaf}
	tests := []struct {
		name string
		g    Greeting
		hex  string
	}{
		{"opens", Greeting{Open, 16, id}, "68616c6f73010010a00000000000000000000000000000af"},
		{"joins", Greeting{Join, 1, id}, "68616c6f73010101a00000000000000000000000000000af"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := hex.EncodeToString(tt.g.Append(nil)); got != tt.hex {
				t.Errorf("%+v is %s, want %s", tt.g, got, tt.hex)
			}
			raw, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ParseGreeting(append(raw, "and more"...)); got != tt.g || err != nil {
				t.Errorf("%s is %+v, %v", tt.hex, got, err)
			}
		})
	}
}

func TestRefusedGreetings(t *testing.T) {
	good := string(Greeting{Open, 16, [16]byte{}}.Append(nil))
	tests := []struct{ name, raw, want string }{
		{"nothing", "", ErrGreeting.Error()},
		{"short", good[:GreetingLen-1], ErrGreeting.Error()},
		{"libp2p", "\x13/multistream/1.0.0\n\x13", ErrGreeting.Error()},
		{"another magic", "hello" + good[5:], ErrGreeting.Error()},
		{"another version", good[:5] + "\x02" + good[6:], "greeting of version 2, not 1: update"},
		{"another kind", good[:6] + "\x02" + good[7:], "greeting of kind 2"},
		{"no sockets", good[:7] + "\x00" + good[8:], "connection over 0 sockets"},
		{"too many sockets", good[:7] + "\x21" + good[8:], "connection over 33 sockets: it can have 1 to 32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if g, err := ParseGreeting([]byte(tt.raw)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("is %+v, %v, want %q", g, err, tt.want)
			}
		})
	}
}

func TestHeaderOnTheWire(t *testing.T) {
	raw := appendHeader(nil, 0x0807060504030201, 0x0a0b)
	if got := hex.EncodeToString(raw); got != "01020304050607080b0a" {
		t.Errorf("header is %s", got)
	}
	if seq, n, err := readHeader(bytes.NewReader(raw)); seq != 0x0807060504030201 || n != 0x0a0b || err != nil {
		t.Errorf("read %x, %x, %v", seq, n, err)
	}
	for n, want := range []error{io.EOF, io.ErrUnexpectedEOF} {
		if _, _, err := readHeader(bytes.NewReader(raw[:n])); !errors.Is(err, want) {
			t.Errorf("of %d bytes: %v, want %v", n, err, want)
		}
	}
}

// A greeting that is taken is one that Append writes.
func FuzzParseGreeting(f *testing.F) {
	f.Add([]byte("\x13/multistream/1.0.0\n"))
	f.Add(Greeting{Open, 16, [16]byte{1}}.Append(nil))
	f.Add(Greeting{Join, 1, [16]byte{2}}.Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		g, err := ParseGreeting(raw)
		if err != nil {
			return
		}
		if again := g.Append(nil); !bytes.Equal(again, raw[:GreetingLen]) {
			t.Errorf("%x is taken for %x", raw[:GreetingLen], again)
		}
	})
}

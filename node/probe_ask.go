package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// probeAsk asks for a measurement, or without a path for an answer at once.
type probeAsk struct {
	Path  ProbePath     `json:"path,omitempty"`
	Bytes int           `json:"bytes,omitempty"`
	For   time.Duration `json:"for,omitempty"`
	Down  bool          `json:"down,omitempty"`

	from peer.ID
}

func (a probeAsk) probe() Probe { return Probe{Path: a.Path, Bytes: a.Bytes, For: a.For, Down: a.Down} }

// probeAnswer says where the server is, and whether it measures.
type probeAnswer struct {
	Addrs   []string `json:"addrs,omitempty"` // multiaddrs with /p2p/ID
	Refused string   `json:"refused,omitempty"`
	Busy    bool     `json:"busy,omitempty"` // that is why, at present
}

// addrs are those at which an answer says that server listens.
func (a probeAnswer) addrs(server peer.ID) (out []ma.Multiaddr) {
	for _, text := range a.Addrs {
		if info, err := parsePeerAddr(text, ""); err == nil && info.ID == server {
			out = append(out, info.Addrs...)
		}
	}
	return out
}

// ask pings the server and asks for the measurement. It returns once the server
// prepares for it, with the addresses for a raw path and the round-trip time.
func (p Probe) ask(ctx context.Context, key crypto.PrivKey, server peer.AddrInfo) (at peer.AddrInfo, rtt time.Duration, err error) {
	h, _, err := p.host(key, "")
	if err != nil {
		return at, 0, err
	}
	defer h.Close()
	heard := time.Now()
	err = within(ctx, busyWait, func(ctx context.Context) (done bool, err error) {
		s, err := openStream(ctx, h, server, askProtocol)
		if err != nil {
			return time.Since(heard) > askWait, fmt.Errorf("%w: no server of measurements: %w", ErrUnreachable, err)
		}
		defer abandon(s)
		at, rtt, err = p.talk(s, server)
		var no refusal
		switch {
		case err == nil, errors.As(err, &no) && !no.Busy:
			return true, err
		case no.Busy:
			heard = time.Now()
		}
		return time.Since(heard) > askWait, err
	})
	return at, rtt, err
}

// talk is the client's side of a stream of askProtocol.
func (p Probe) talk(s network.Stream, server peer.AddrInfo) (at peer.AddrInfo, rtt time.Duration, err error) {
	if err := s.SetDeadline(time.Now().Add(helloWait)); err != nil {
		return at, 0, err
	}
	in, out := json.NewDecoder(io.LimitReader(s, maxAsk)), json.NewEncoder(s)
	var answer probeAnswer
	for range pings {
		began := time.Now()
		if answer, err = converse(in, out, probeAsk{}); err != nil {
			return at, 0, err
		}
		if took := time.Since(began); rtt == 0 || took < rtt {
			rtt = took
		}
	}
	at = peer.AddrInfo{ID: server.ID, Addrs: rawAddrs(p.Path, server.Addrs, answer.addrs(server.ID))}
	if p.Path.Raw() && len(at.Addrs) == 0 {
		return at, 0, refusal{probeAnswer{Refused: fmt.Sprintf("it does not listen for %s, but on %s", p.Path, answer.Addrs)}}
	}
	if _, err := converse(in, out, probeAsk{Path: p.Path, Bytes: p.Bytes, For: p.For, Down: p.Down}); err != nil {
		return at, 0, err
	}
	if err := s.CloseWrite(); err != nil {
		return at, 0, err
	}
	_, _ = s.Read(make([]byte, 1)) // ends with the server's host
	return at, rtt, nil
}

// refusal is the error of an answer that refuses.
type refusal struct{ probeAnswer }

func (r refusal) Error() string { return "the server does not measure: " + r.Refused }

// converse asks and reads the answer.
func converse(in *json.Decoder, out *json.Encoder, ask probeAsk) (answer probeAnswer, err error) {
	if err = out.Encode(ask); err == nil {
		err = in.Decode(&answer)
	}
	if err == nil && answer.Refused != "" {
		err = refusal{answer}
	}
	return answer, err
}

// openStream opens a stream at a peer that may have to be dialled first.
func openStream(ctx context.Context, h host.Host, p peer.AddrInfo, protocol string) (network.Stream, error) {
	if err := redial(ctx, h, p); err != nil {
		return nil, err
	}
	return h.NewStream(ctx, p.ID, protocolID(protocol))
}

// rawAddrs are those to dial for a raw path: with what the server says of itself, the
// address under which the client knows it.
func rawAddrs(path ProbePath, known, told []ma.Multiaddr) (out []ma.Multiaddr) {
	fits := func(a ma.Multiaddr) bool {
		_, err := a.ValueForProtocol(ma.P_QUIC_V1)
		return (err == nil) == (path == ProbeQUIC)
	}
	for _, a := range known {
		if fits(a) {
			out = append(out, a)
		}
		for _, b := range told {
			if fits(b) && len(a) > 0 && len(b) > 0 && a[0].Protocol().Code == b[0].Protocol().Code {
				out = append(out, append(ma.Multiaddr{a[0]}, b[1:]...)) // through a NAT
			}
		}
	}
	for _, b := range told {
		if fits(b) {
			out = append(out, b)
		}
	}
	return ma.Unique(out)
}

// hear answers one who asks. ok is true for the first whose measurement can be made,
// once it has read the answer.
func (p *ProbeServer) hear(s network.Stream, taken chan struct{}, addrs []string) (ask probeAsk, ok bool) {
	if s.SetDeadline(time.Now().Add(helloWait)) != nil {
		return ask, false
	}
	in, out := json.NewDecoder(io.LimitReader(s, maxAsk)), json.NewEncoder(s)
	for range pings + 1 {
		ask = probeAsk{}
		if in.Decode(&ask) != nil {
			return ask, false
		}
		if ask.Path == "" {
			if out.Encode(probeAnswer{Addrs: addrs}) != nil {
				return ask, false
			}
			continue
		}
		ask.from = s.Conn().RemotePeer()
		answer := p.judge(ask)
		if answer.Refused == "" && !offer(taken, struct{}{}) {
			answer = probeAnswer{Refused: "another measurement begins", Busy: true}
		}
		err := out.Encode(answer)
		if answer.Refused != "" {
			return ask, false
		}
		if err == nil {
			_, err = s.Read(make([]byte, 1)) // the client closes its end when it knows
		}
		if err != io.EOF {
			<-taken
		}
		return ask, err == io.EOF
	}
	return ask, false
}

// judge says what is wrong with a request.
func (p *ProbeServer) judge(ask probeAsk) probeAnswer {
	if err := ask.probe().Validate(); err != nil {
		return probeAnswer{Refused: err.Error()}
	}
	if ask.Bytes > p.Max {
		return probeAnswer{Refused: fmt.Sprintf("%d bytes, this server measures with %d at most: it has a flag --max", ask.Bytes, p.Max)}
	}
	if _, err := chooseCongestion(ask.Path.control(ask.Down), slog.New(slog.DiscardHandler)); err != nil {
		return probeAnswer{Refused: err.Error()}
	}
	return probeAnswer{}
}

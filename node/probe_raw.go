package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	rawPiece = 256 << 10       // that a raw stream reads and writes under one deadline
	tailWait = 5 * time.Minute // for what the kernel has taken to arrive: megabytes, over a link that has slowed down
)

// serveRaw reads what the client writes and counts it, or writes itself.
func (p *ProbeServer) serveRaw(ctx context.Context, ask probeAsk) error {
	h, count, err := p.host(ask.Path.control(ask.Down))
	if err != nil {
		return err
	}
	var streams sync.WaitGroup
	defer streams.Wait()
	defer h.Close()
	h.SetStreamHandler(rawProtocol, func(s network.Stream) {
		streams.Add(1)
		defer streams.Done()
		if s.Conn().RemotePeer() != ask.from {
			abandon(s)
			return
		}
		if err := answerRaw(s, ask); err != nil {
			abandon(s)
			p.Log.Warn("raw stream ended", "path", ask.Path, "err", err)
		}
	})
	return attend(ctx, h, ask.from, startToll(h, count, p.Usage), 0)
}

// answerRaw is the server's end of a raw stream.
func answerRaw(s network.Stream, ask probeAsk) error {
	if ask.Down {
		if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
			return err
		}
		if _, err := fill(s, ask.Bytes, ask.For); err != nil {
			return err
		}
	} else {
		n, err := drain(s)
		if err != nil {
			return err
		}
		if _, err := s.Write(binary.LittleEndian.AppendUint64(nil, n)); err != nil {
			return err
		}
	}
	return s.Close()
}

// moveRaw is the client's end of one. It returns the bytes of payload.
func moveRaw(s network.Stream, p Probe) (uint64, error) {
	if p.Down {
		if _, err := s.Write([]byte{0}); err != nil {
			return 0, err
		}
		return drain(s)
	}
	n, err := fill(s, p.Bytes, p.For)
	if err != nil {
		return n, err
	}
	if err := s.CloseWrite(); err != nil {
		return n, err
	}
	if err := s.SetReadDeadline(time.Now().Add(tailWait)); err != nil {
		return n, err
	}
	var count [8]byte
	if _, err := io.ReadFull(s, count[:]); err != nil {
		return n, fmt.Errorf("confirmation: %w", err)
	}
	if got := binary.LittleEndian.Uint64(count[:]); got != n {
		return n, fmt.Errorf("%d bytes arrived, %d were sent", got, n)
	}
	return n, nil
}

// fill writes until the time has passed, or where there is none, so many bytes: a
// stream knows no transfers, and a slow one would take hours for those of others.
func fill(s network.Stream, bytes int, d time.Duration) (n uint64, err error) {
	piece := make([]byte, rawPiece)
	values := make([]float32, rawPiece/4)
	noise(values, 3)
	for i, v := range values {
		binary.LittleEndian.PutUint32(piece[4*i:], math.Float32bits(v))
	}
	for began := time.Now(); d > 0 && time.Since(began) < d || d == 0 && n < uint64(bytes); {
		if err := s.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
			return n, err
		}
		if d == 0 {
			piece = piece[:min(rawPiece, uint64(bytes)-n)]
		}
		m, err := s.Write(piece)
		n += uint64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// drain reads to the end of a stream.
func drain(s network.Stream) (n uint64, err error) {
	piece := make([]byte, rawPiece)
	for {
		if err := s.SetReadDeadline(time.Now().Add(writeWait)); err != nil {
			return n, err
		}
		m, err := s.Read(piece)
		n += uint64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

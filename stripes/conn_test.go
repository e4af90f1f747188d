package stripes

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"
)

// sockets makes n connections over loopback.
func sockets(n int) (here, there []*net.TCPConn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	for range n {
		a, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, nil, err
		}
		b, err := l.Accept()
		if err != nil {
			return nil, nil, err
		}
		here, there = append(here, a.(*net.TCPConn)), append(there, b.(*net.TCPConn))
	}
	return here, there, nil
}

// over makes a connection over sockets.
func over(sockets []*net.TCPConn) (*Conn, error) {
	c, err := New(sockets[0], false, func() {})
	for _, s := range sockets[1:] {
		if err == nil {
			err = c.Add(s, func() {})
		}
	}
	return c, err
}

func TestConn(t *testing.T) {
	for _, n := range []int{1, 4} {
		nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
			here, there, err := sockets(n)
			if err != nil {
				return nil, nil, nil, err
			}
			if a, err = over(here); err != nil {
				return nil, nil, nil, err
			}
			if b, err = over(there); err != nil {
				return nil, nil, nil, err
			}
			return a, b, func() { a.Close(); b.Close() }, nil
		})
	}
}

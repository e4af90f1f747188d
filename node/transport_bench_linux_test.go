package node

import (
	"strconv"
	"testing"
	"time"
)

// What two hosts get out of a link, by the control of their sockets and by how many there are.
func BenchmarkBulkBetweenHosts(b *testing.B) {
	const tcp, quic = "/ip4/%s/tcp/0", "/ip4/%s/udp/0/quic-v1"
	hosts := []struct {
		listen, control string
		sockets         int
	}{
		{tcp, "bbr", 1}, {tcp, "cubic", 1}, {tcp, "reno", 1}, {quic, "", 0},
		{tcp, "cubic", 4}, {tcp, "cubic", 8}, {tcp, "cubic", 16}, {tcp, "cubic", 32},
	}
	for _, loss := range []string{"0%", "0.1%", "1%", "5%"} {
		for _, h := range hosts {
			name := h.control + " x" + strconv.Itoa(h.sockets)
			if h.listen == quic {
				name = "quic"
			}
			b.Run(name+" "+loss, func(b *testing.B) {
				benchBulk(b, "100mbit/100ms/"+loss, siteOptions{[]string{h.listen}, h.control, h.sockets})
			})
		}
	}
}

// benchBulk reports the rate at which bytes arrive after the first five seconds, and how long the echo of a
// few bytes takes meanwhile.
func benchBulk(b *testing.B, link string, o siteOptions) {
	const lasting = 15 * time.Second
	n := sites(b, link, "reno")
	from, to := newSite(b, n, "a", o), newSite(b, n, "b", o)
	peer := to.addr()
	facts := from.do(siteOrder{Do: "connect", Peer: peer})
	b.Log(facts.Conns)
	from.do(siteOrder{Do: "push", Peer: peer})
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		began, before := time.Now(), to.do(siteOrder{Do: "facts"}).Received
		echoes := from.do(siteOrder{Do: "echo", Peer: peer, Times: 10}).Echoes
		<-time.After(lasting - time.Since(began))
		got := to.do(siteOrder{Do: "facts"}).Received - before
		b.ReportMetric(float64(got)*8e-6/time.Since(began).Seconds(), "Mbit/s")
		b.ReportMetric(float64(echoes[len(echoes)/2].Milliseconds()), "ms-echo")
		b.ReportMetric(float64(echoes[len(echoes)-1].Milliseconds()), "ms-worst-echo")
	}
}

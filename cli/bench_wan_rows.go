package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"halos/node"
	"halos/wan"
)

// wanSchema names the form of the report as JSON.
const wanSchema = "halos.bench.wan/1"

// wanReport is what bench wan has measured.
type wanReport struct {
	Schema string   `json:"schema"`
	Way    string   `json:"way"`    // loopback, emulated, or the address of the other machine
	Kernel string   `json:"kernel"` // settings of its connections
	Rows   []wanRow `json:"rows"`
}

// wanRow is one measurement, or the one of several that had the median goodput. MB are
// 1e6 bytes. The sender is the end where the payload comes from.
type wanRow struct {
	Path string  `json:"path"` // of node.ProbePaths
	Down bool    `json:"down"` // from the server to the client, as models go
	Mbit float64 `json:"mbit"` // rate of the emulated link, 0 where there is none
	RTT  float64 `json:"rtt_ms"`
	Loss float64 `json:"loss"` // of the emulated link, 0..1

	Bytes     int     `json:"bytes"`     // payload of a transfer
	Transfers int     `json:"transfers"` // 1 for a plain stream, whatever its length
	Payload   uint64  `json:"payload_bytes"`
	Seconds   float64 `json:"seconds"` // from the first byte to the word that the last was applied or read

	Congestion string `json:"congestion"` // control of the sender's connection, and over how many sockets it goes, such as "cubic x16"

	Goodput   float64 `json:"goodput_mbit"`
	WireRatio float64 `json:"wire_ratio"` // bytes on libp2p streams from sender to receiver per byte of payload
	CPU       float64 `json:"cpu_seconds"`
	PeakRSS   float64 `json:"peak_rss_mb"` // of the larger process
	Vectors   float64 `json:"vectors_mb"`  // of that, float32 vectors that a job holds there too

	SenderCPU       float64 `json:"sender_cpu_seconds"`
	ReceiverCPU     float64 `json:"receiver_cpu_seconds"`
	SenderRSS       float64 `json:"sender_peak_rss_mb"`
	ReceiverRSS     float64 `json:"receiver_peak_rss_mb"`
	SenderVectors   float64 `json:"sender_vectors_mb"`
	ReceiverVectors float64 `json:"receiver_vectors_mb"`

	Reconnects  int       `json:"reconnects"`
	EmulatorCPU float64   `json:"emulator_cpu_seconds"` // none of the above
	IPRatio     float64   `json:"ip_ratio"`             // bytes that arrived over the emulated link at the receiver per byte of payload, headers and repetitions too; 0 without one
	Lost        uint64    `json:"packets_lost"`         // by the emulated link's chance
	Dropped     uint64    `json:"packets_dropped"`      // by its full queue
	Runs        []float64 `json:"runs_mbit,omitempty"`  // goodput of all, ascending, where there are several
	Error       string    `json:"error,omitempty"`      // why there is no result, or why some runs are missing
}

func newRow(m measurement, got node.Probed) wanRow {
	sender, receiver := got.Client, got.Server
	down := m.down || m.path == node.ProbeModel
	if down {
		sender, receiver = receiver, sender
	}
	r := wanRow{
		Path: string(m.path), Down: down, RTT: inMilliseconds(got.RTT), Bytes: m.bytes,
		Transfers: got.Transfers, Payload: got.Payload, Seconds: got.Took.Seconds(),
		CPU:       (sender.CPU + receiver.CPU).Seconds(),
		SenderCPU: sender.CPU.Seconds(), ReceiverCPU: receiver.CPU.Seconds(),
		SenderRSS: megabytes(sender.Peak), ReceiverRSS: megabytes(receiver.Peak),
		SenderVectors: megabytes(sender.Vectors), ReceiverVectors: megabytes(receiver.Vectors),
		Congestion: sender.Congestion, Reconnects: got.Broken,
	}
	if r.PeakRSS, r.Vectors = r.SenderRSS, r.SenderVectors; r.ReceiverRSS > r.PeakRSS {
		r.PeakRSS, r.Vectors = r.ReceiverRSS, r.ReceiverVectors
	}
	if got.Took > 0 {
		r.Goodput = float64(got.Payload) * 8 / 1e6 / r.Seconds
	}
	if got.Payload > 0 {
		r.WireRatio = float64(sender.Sent) / float64(got.Payload)
	}
	if l := m.link; l != nil {
		r.Mbit, r.RTT, r.Loss = float64(l.Rate)/1e6, inMilliseconds(l.RTT), l.Loss
	}
	return r
}

// addLink adds what the emulated link has counted.
func (r *wanRow) addLink(network *wan.Network, m measurement) {
	from, to := benchClient, benchServer
	if r.Down {
		from, to = to, from
	}
	c := network.Count(from, to)
	r.Lost, r.Dropped = c.Lost, c.Dropped
	if r.Payload > 0 {
		r.IPRatio = float64(c.Bytes) / float64(r.Payload)
	}
}

func inMilliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func megabytes(bytes uint64) float64 { return float64(bytes) / 1e6 }

// middle is the row with the median goodput of those that have one. It says how many
// have failed.
func middle(rows []wanRow) wanRow {
	var good []wanRow
	var failed string
	for _, r := range rows {
		if r.Error == "" {
			good = append(good, r)
		} else {
			failed = r.Error
		}
	}
	if len(good) == 0 {
		return rows[0]
	}
	slices.SortFunc(good, func(a, b wanRow) int { return cmp.Compare(a.Goodput, b.Goodput) })
	m := good[(len(good)-1)/2]
	if len(rows) > 1 {
		for _, r := range good {
			m.Runs = append(m.Runs, r.Goodput)
		}
	}
	if n := len(rows) - len(good); n > 0 {
		m.Error = fmt.Sprintf("%d of %d runs failed: %s", n, len(rows), failed)
	}
	return m
}

// worked reports that there is a result.
func (r wanReport) worked() bool {
	return slices.ContainsFunc(r.Rows, func(r wanRow) bool { return r.Goodput > 0 })
}

// String is the table of the report, with tabs between its columns.
func (r wanReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\npath\tcontrol\tlink\tpayload\tMbit/s\tseconds\ton streams\tCPU s\tpeak MB\tof it vectors\t\n", r.Way, r.Kernel)
	var notes []string
	for _, row := range r.Rows {
		path := row.Path
		if row.Down && path != string(node.ProbeModel) {
			path += " down"
		}
		if row.Goodput == 0 {
			fmt.Fprintf(&b, "%s\t\t%s\t%s\tfailed\t\t\t\t\t\t\n", path, row.link(), size(uint64(row.Bytes)))
		} else {
			fmt.Fprintf(&b, "%s\t%s\t%s\t%d x %s\t%.1f\t%.2f\t%.4f x\t%.2f\t%.0f\t%.0f\t\n", path, row.Congestion, row.link(), row.Transfers,
				size(row.Payload/uint64(max(1, row.Transfers))), row.Goodput, row.Seconds, row.WireRatio, row.CPU, row.PeakRSS, row.Vectors)
		}
		if row.Error != "" {
			notes = append(notes, fmt.Sprintf("%s %s: %s\n", path, row.link(), row.Error))
		}
	}
	if len(notes) > 0 {
		b.WriteString("\n" + strings.Join(notes, ""))
	}
	return b.String()
}

// link is the emulated link of a row, or the round trip of the one there is.
func (r wanRow) link() string {
	if r.Mbit == 0 && r.Loss == 0 {
		return fmt.Sprintf("%.3g ms", r.RTT)
	}
	return fmt.Sprintf("%g/%gms/%g%%", r.Mbit, r.RTT, 100*r.Loss)
}

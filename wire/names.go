package wire

import "fmt"

// Stream protocols. The client opens the stream.
const (
	AckProtocol   = "/halos/ack/1"   // ToServer and ToClient messages
	ModelProtocol = "/halos/model/1" // Follow messages one way, models the other
	StateProtocol = "/halos/state/1" // a server's whole state, for a standby
	JobProtocol   = "/halos/job/1"   // one JobReply
)

// jobDigits is how much of the hex job id is in a topic name.
const jobDigits = 16

// RegionDelta is the topic of the chunks from the workers of a region to its LPS.
// job is the job id in hex, of which the first 16 digits count.
func RegionDelta(job, region string) string { return topic(job) + "/region/" + region + "/delta" }

// RegionControl is the topic of the control messages within a region.
func RegionControl(job, region string) string { return topic(job) + "/region/" + region + "/control" }

// GlobalDelta is the topic of the chunks from the LPSs to the GPS.
func GlobalDelta(job string) string { return topic(job) + "/global/delta" }

// GlobalControl is the topic of the control messages between servers.
func GlobalControl(job string) string { return topic(job) + "/global/control" }

func topic(job string) string { return "/halos/" + job[:min(len(job), jobDigits)] }

// MaxRegionName is the longest region name, in bytes.
const MaxRegionName = 32

// CheckRegion says what is wrong with the name of a region: it must be 1 to 32
// of a-z, 0-9 and "-".
func CheckRegion(name string) error {
	if len(name) < 1 || len(name) > MaxRegionName {
		return fmt.Errorf("region name of %d bytes: must have 1 to %d", len(name), MaxRegionName)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("region name %q: only a-z, 0-9 and - may be in it", name)
		}
	}
	return nil
}

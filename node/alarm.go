package node

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// alarmEvery is how often an alarm that lasts is told again. Attempts come every few seconds.
const alarmEvery = time.Minute

// alarm follows the snapshots of one server. It is raised by one that could not be written and over with
// the next that is. Training goes on meanwhile: clients keep what is not durable.
type alarm struct {
	durable uint64    // version of the newest snapshot on disk, 0 if there is none
	since   time.Time // of the first attempt that failed, zero while all is well
	told    time.Time // when it was last said
	failed  uint64    // attempts since the last that succeeded
	reason  string
}

// raise notes an attempt that failed, and reports whether it is time to say so.
func (a *alarm) raise(now time.Time, reason string) (tell bool) {
	if a.failed == 0 {
		a.since = now
	}
	a.failed++
	a.reason = reason
	if a.failed > 1 && now.Sub(a.told) < alarmEvery {
		return false
	}
	a.told = now
	return true
}

// clear notes a snapshot of the given version that is on disk, and returns the alarm that is over with it,
// the zero alarm if there was none.
func (a *alarm) clear(version uint64) (over alarm) {
	if a.failed > 0 {
		over = *a
	}
	*a = alarm{durable: version}
	return over
}

// status is what halos status tells of the alarm, nil while all is well.
func (a *alarm) status(now time.Time) *AlarmStatus {
	if a.failed == 0 {
		return nil
	}
	return &AlarmStatus{Reason: a.reason, Since: now.Sub(a.since).Seconds(), Failed: a.failed, Durable: a.durable}
}

// snapshotFault says why a snapshot could not be written into dir, and what to do about it.
func snapshotFault(dir string, err error) (reason, remedy string) {
	reason = strings.ReplaceAll(err.Error(), "\n", "; ")
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return reason, "see that this process can write in " + dir
	}
	left := ""
	if free, ok := freeBytes(dir); ok {
		left = fmt.Sprintf(", %d bytes are free", free)
	}
	return fmt.Sprintf("no space in %s%s: %s", dir, left, reason), "free space in " + dir + ", which holds three snapshots while one is written"
}

package cli

import (
	"time"

	"golang.org/x/sys/windows"
)

// cpuTime is the processor time that this process has used, of the user and the system.
func cpuTime() time.Duration {
	var made, ended, system, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &made, &ended, &system, &user) != nil {
		return 0
	}
	ticks := func(f windows.Filetime) int64 { return int64(f.HighDateTime)<<32 | int64(f.LowDateTime) }
	return time.Duration(ticks(system)+ticks(user)) * 100
}

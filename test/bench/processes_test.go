package bench_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// processes are those whose cost is counted, by the name in the table.
type processes map[string][]int

// clockTick is what /proc counts CPU time in; USER_HZ is 100 on every Linux
// that Go runs on.
const clockTick = 10 * time.Millisecond

// cpu is the user and system time that each has used so far.
func (p processes) cpu(b *testing.B) map[string]time.Duration {
	b.Helper()
	out := map[string]time.Duration{}
	for name, pids := range p {
		for _, pid := range pids {
			raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				b.Fatal(err)
			}
			// The second field, the name, may hold spaces; it ends at the last ")".
			fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
			for _, field := range fields[11:13] { // utime, stime
				ticks, err := strconv.ParseInt(field, 10, 64)
				if err != nil {
					b.Fatal(err)
				}
				out[name] += time.Duration(ticks) * clockTick
			}
		}
	}
	return out
}

// memory is the resident set of a process now, in MiB.
func (p processes) memory(b *testing.B, name string) float64 {
	b.Helper()
	total := 0.0
	for _, pid := range p[name] {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			b.Fatal(err)
		}
		pages, err := strconv.ParseFloat(strings.Fields(string(raw))[1], 64)
		if err != nil {
			b.Fatal(err)
		}
		total += pages * float64(os.Getpagesize()) / (1 << 20)
	}
	return total
}

// forgetPeak begins to watch the largest resident set anew.
func (p processes) forgetPeak(b *testing.B) {
	b.Helper()
	for _, pids := range p {
		for _, pid := range pids {
			if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// peak is the largest resident set that a process has had, in MiB.
func (p processes) peak(b *testing.B, name string) float64 {
	b.Helper()
	total := 0.0
	for _, pid := range p[name] {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			b.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(raw), "VmHWM:")
		kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
		if err != nil {
			b.Fatal(err)
		}
		total += kib / 1024
	}
	return total
}

// machine is one line about where the figures come from.
func machine() string {
	model := "unknown CPU"
	raw, _ := os.ReadFile("/proc/cpuinfo")
	cores := strings.Count(string(raw), "\nprocessor") + 1
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d × %s, Linux %s", cores, model, strings.TrimSpace(string(kernel)))
}

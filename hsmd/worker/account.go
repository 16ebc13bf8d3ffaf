package worker

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Account is a user, by name or number, with its groups.
func Account(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if _, notNumber := strconv.ParseUint(name, 10, 32); err != nil && notNumber == nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return nil, fmt.Errorf("there is no user %q", name)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("the groups of user %q: %w", name, err)
	}
	var numbers []uint32
	for _, id := range append([]string{u.Uid, u.Gid}, ids...) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %q: %w", name, err)
		}
		numbers = append(numbers, uint32(n))
	}
	return &syscall.Credential{Uid: numbers[0], Gid: numbers[1], Groups: numbers[2:]}, nil
}

// MaySwitch is an error if hsmd cannot start a process as another user: it is
// neither root nor has what root does it with.
func MaySwitch() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has [2]unix.CapUserData
	if err := unix.Capget(&header, &has[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	const all = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL
	if has[0].Effective&all != all {
		return errors.New("hsmd is neither root nor has it CAP_SETUID, CAP_SETGID and CAP_KILL: it can start and end no worker of another user")
	}
	return nil
}

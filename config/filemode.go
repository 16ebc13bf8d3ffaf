package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// FileMode is the nine permission bits of a file. It is written in octal and
// in quotes: HCL would read a bare 0660 as six hundred and sixty.
type FileMode fs.FileMode

var errFileMode = errors.New(`must be an octal mode in quotes, such as "0660"`)

// ParseFileMode reads an octal mode up to 0777.
func ParseFileMode(s string) (FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return 0, errFileMode
	}
	return FileMode(n), nil
}

// Std is the mode as the standard library has it.
func (m FileMode) Std() fs.FileMode { return fs.FileMode(m) }

// String writes the mode in octal with four digits.
func (m FileMode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	ownTokenFile   = ".pkid-token"
	vaultTokenFile = ".vault-token"
)

// tokenFromFiles reads the token that a login left at home. A file that may not
// be read is somebody else's, as with the HOME that sudo kept, and counts as
// none.
func tokenFromFiles(home string, overSocket bool) (string, error) {
	names := []string{ownTokenFile, vaultTokenFile}
	if overSocket {
		names = names[:1]
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(home, name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("reading the token file: %w", err)
		}
		if token := strings.TrimSpace(string(b)); token != "" {
			return token, nil
		}
	}
	return "", nil
}

// StoreToken keeps a token in home for the commands to come, readable by its
// owner alone. The file is replaced whole: a link in its place is replaced, not
// followed.
func StoreToken(home, token string) (err error) {
	if home == "" {
		return errors.New("storing the token: there is no home directory")
	}
	f, err := os.CreateTemp(home, ownTokenFile+"-*") // which makes it 0600
	if err != nil {
		return fmt.Errorf("storing the token: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("storing the token: %w", err), os.Remove(f.Name()))
		}
	}()
	_, err = f.WriteString(token)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(home, ownTokenFile))
}

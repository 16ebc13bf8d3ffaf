package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/confinement"
	"github.com/hsmpki/hsmpki/hsmd/worker"
)

// confine follows the links in the stanzas' paths, for the last time: a worker
// that may write in one of them could make others later. It checks that they
// give away nothing of hsmd's own and that the users can be had.
func confine(cfg *config.HSMD) error {
	var faults []error
	own := ownFiles(cfg)
	for i := range cfg.Libraries {
		l := &cfg.Libraries[i]
		for j, p := range l.Paths {
			l.Paths[j] = followed(p)
			for _, o := range own {
				if o.touches(l.Paths[j]) {
					faults = append(faults, l.Place.Errorf("paths", "kms_library %q: paths %q would give the worker hsmd's %s", l.Name, p, o.what))
					break
				}
			}
		}
		if l.User != "" {
			faults = append(faults, checkUser(cfg, l))
		}
	}
	return errors.Join(faults...)
}

// checkUser wants a user that can be had and that is a user of the worker's own.
func checkUser(cfg *config.HSMD, l *config.Library) error {
	account, err := worker.Account(l.User)
	if err == nil {
		err = worker.MaySwitch()
	}
	switch {
	case err != nil:
		return l.Place.Errorf("user", "kms_library %q: user: %v", l.Name, err)
	case account.Uid == uint32(os.Getuid()):
		return l.Place.Errorf("user", "kms_library %q: user %q is hsmd's own; leave user out for that", l.Name, l.User)
	}
	for _, c := range cfg.Clients {
		if client, err := worker.Account(c.User); err == nil && client.Uid == account.Uid {
			return l.Place.Errorf("user", "kms_library %q: user %q is that of client %q: hsmd takes no connection from a worker's user", l.Name, l.User, c.Name)
		}
	}
	return nil
}

// workerUsers are the users of their own that workers run as.
func workerUsers(cfg *config.HSMD) map[uint32]bool {
	users := map[uint32]bool{}
	for _, l := range cfg.Libraries {
		if account, err := worker.Account(l.User); err == nil {
			users[account.Uid] = true
		}
	}
	return users
}

// ownFile is something of hsmd's that no worker may have.
type ownFile struct {
	what   string
	path   string
	folder bool // with what is in it
}

func (o ownFile) touches(path string) bool {
	return within(o.path, path) || o.folder && within(path, o.path)
}

func ownFiles(cfg *config.HSMD) []ownFile {
	all := []ownFile{
		{"state_dir", followed(cfg.StateDir), true},
		{"configuration", followed(cfg.Place.File()), false},
	}
	add := func(what, path string) {
		if path != "" {
			all = append(all, ownFile{what, followed(path), false})
		}
	}
	secret := func(what string, s config.Secret) {
		if path, ok := strings.CutPrefix(s.Reference(), "file:"); ok {
			add(what, path)
		}
	}
	add("audit_log", cfg.AuditLog)
	secret("state_key", cfg.StateKey)
	for _, l := range cfg.Listeners {
		add("socket", l.Address)
	}
	for _, k := range cfg.ManagedKeys {
		if k.AWSKMS != nil {
			secret("access_key of managed key "+k.Name, k.AWSKMS.AccessKey)
			secret("secret_key of managed key "+k.Name, k.AWSKMS.SecretKey)
		}
		if k.PKCS11 != nil {
			secret("pin of managed key "+k.Name, k.PKCS11.Token.PIN)
			for _, c := range k.PKCS11.Copies {
				secret("pin of a copy of managed key "+k.Name, c.Token.PIN)
			}
		}
	}
	if k := cfg.InternalKeys; k != nil {
		secret("pin of internal_keys", k.Token.PIN)
	}
	return all
}

// within reports whether path is folder or in it.
func within(path, folder string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(folder, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// followed is an absolute path without symbolic links. Unlike for
// filepath.EvalSymlinks, the last parts need not exist yet.
func followed(path string) string { return follow(path, 40) } // as many links as the kernel follows

func follow(path string, links int) string {
	path, err := filepath.Abs(path)
	if err != nil || links == 0 {
		return path
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	dir, name := filepath.Split(path)
	if name == "" {
		return path
	}
	path = filepath.Join(follow(filepath.Clean(dir), links), name)
	target, err := os.Readlink(path)
	if err != nil {
		return path
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	return follow(target, links-1)
}

// confined says in words what the library of a stanza can reach.
func confined(l *config.Library) string {
	as := "hsmd's user"
	if l.User != "" {
		as = "user " + l.User
	}
	if l.Paths == nil {
		return "its worker runs as " + as + " and is not confined: it reads and writes what that user may"
	}
	return "its worker runs as " + as + " and is confined to the library, what it links, and " + listed(l.Paths)
}

// confinementWarnings are what a kernel cannot do of what a configuration wants.
func confinementWarnings(cfg *config.HSMD) []string {
	var all []string
	for _, l := range cfg.Libraries {
		if l.Paths == nil {
			continue
		}
		if err := confinement.Kernel(); err != nil {
			all = append(all, fmt.Sprintf("kms_library %q sets paths, and its worker will not be started: %v", l.Name, err))
		} else if missing := confinement.Missing(); missing != "" && l.User == "" {
			all = append(all, fmt.Sprintf("kms_library %q: this kernel's Landlock does not keep its worker from %s; a user of its own would", l.Name, missing))
		}
	}
	return all
}

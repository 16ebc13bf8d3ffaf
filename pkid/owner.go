package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// takeOwner gives a folder and all in it to the owner of another file, where
// this process may.
func takeOwner(dir string, like fs.FileInfo) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}

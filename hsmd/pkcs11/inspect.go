//go:build cgo

package pkcs11

import (
	"debug/elf"
	"errors"
	"os"
	"runtime"

	"github.com/hsmpki/hsmpki/wire"
)

// machines are the ELF machines of the architectures that Go calls so.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "386": elf.EM_386, "arm64": elf.EM_AARCH64, "arm": elf.EM_ARM,
	"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "loong64": elf.EM_LOONGARCH,
}

// inspect looks at a library's file before anything of it runs, because the
// loader's own errors say little.
func inspect(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return wire.Errorf(wire.Invalid, "library %s: %v (as uid %d)", path, cause(err), os.Geteuid())
	}
	if !info.Mode().IsRegular() {
		return wire.Errorf(wire.Invalid, "library %s is not a regular file", path)
	}
	file, err := elf.Open(path)
	if errors.Is(err, os.ErrPermission) {
		return wire.Errorf(wire.Invalid, "library %s: %v (mode %v, as uid %d)", path, cause(err), info.Mode(), os.Geteuid())
	}
	if err != nil {
		return wire.Errorf(wire.Invalid, "library %s is not a shared object (ELF)", path)
	}
	defer file.Close()
	if want, known := machines[runtime.GOARCH]; known && file.Machine != want {
		return wire.Errorf(wire.Invalid, "library %s is for %s, this program for %s", path, file.Machine, want)
	}
	if file.Type != elf.ET_DYN {
		return wire.Errorf(wire.Invalid, "library %s is not a shared object (ELF type %s)", path, file.Type)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return wire.Errorf(wire.Invalid, "library %s has no symbols: %v", path, err)
	}
	for _, s := range symbols {
		if s.Name == "C_GetFunctionList" && s.Section != elf.SHN_UNDEF {
			return nil
		}
	}
	return wire.Errorf(wire.Invalid, "library %s is not a PKCS#11 library: it has no C_GetFunctionList", path)
}

// cause is a file error without the path, which the caller names.
func cause(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

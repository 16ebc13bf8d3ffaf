//go:build cgo

package pkcs11

/*
#cgo CFLAGS: -Wall -Werror
#cgo LDFLAGS: -ldl
#cgo noescape hsmd_sign
#cgo nocallback hsmd_sign
#include <stdlib.h>
#include "call.h"
*/
import "C"

import (
	"errors"
	"time"
	"unsafe"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// module is the loaded library. miekg/pkcs11 makes most calls, in calls.go; those
// of the hot path are made through the function list.
type module struct {
	ctx       *p11.Ctx
	path      string
	functions unsafe.Pointer
	pace      *pace
	watch     *watch
}

// load loads and initialises the library. There is no way back: some libraries
// crash when they are unloaded after a failure.
func load(path, initArgs string, w *watch) (*module, error) {
	if err := inspect(path); err != nil {
		return nil, err
	}
	m := &module{path: path, pace: newPace(), watch: w}
	if err := m.open(); err != nil {
		return nil, err
	}
	if err := m.initialize(initArgs); err != nil {
		return nil, m.failure("C_Initialize", "", err)
	}
	return m, nil
}

// open has the dynamic loader load the library, which runs its constructors.
func (m *module) open() error {
	defer m.watch.enter(cGetFunctionList).leave()
	path := C.CString(m.path)
	defer C.free(unsafe.Pointer(path))
	var why [512]C.char
	library := C.hsmd_load(path, &why[0], C.size_t(len(why)))
	if library == nil {
		return wire.Errorf(wire.Unavailable, "library %s cannot be loaded: %s", m.path, C.GoString(&why[0]))
	}
	if m.ctx = p11.New(m.path); m.ctx != nil {
		m.functions = C.hsmd_functions(library, *(*unsafe.Pointer)(unsafe.Pointer(m.ctx)))
	}
	if m.functions == nil {
		return wire.Errorf(wire.Unavailable, "library %s cannot be used: its C_GetFunctionList gives no functions", m.path)
	}
	return nil
}

// initialize calls C_Initialize and asks for the operating system's locks,
// since sessions are used by several threads. The argument string stays
// allocated: libraries keep pointers into it.
func (m *module) initialize(initArgs string) error {
	options := []p11.InitializeOption{p11.InitializeWithFlags(p11.CKF_OS_LOCKING_OK)}
	if initArgs != "" {
		options = append(options, p11.InitializeWithReserved(unsafe.Pointer(C.CString(initArgs))))
	}
	err := m.Initialize(options...)
	if errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		return nil
	}
	return err
}

// sign is C_SignInit and C_Sign. On an error the session may be in the middle
// of an operation and must be closed. call names the function that failed.
func (m *module) sign(session p11.SessionHandle, key p11.ObjectHandle, mech mechanism, data, out []byte) (n int, call string, err error) {
	length := C.ulong(len(out))
	var step C.int
	watched := m.watch.enter(cSign)
	start := time.Now()
	rv := C.hsmd_sign(m.functions, C.ulong(session), C.ulong(key),
		C.ulong(mech.id), C.ulong(mech.hash), C.ulong(mech.mgf), C.ulong(mech.salt),
		(*C.uchar)(unsafe.SliceData(data)), C.ulong(len(data)),
		(*C.uchar)(unsafe.SliceData(out)), &length, &step)
	m.pace.took(time.Since(start))
	watched.leave()
	if rv != 0 {
		call = "C_Sign"
		if step == C.HSMD_SIGN_INIT {
			call = "C_SignInit"
		}
		return 0, call, p11.Error(rv)
	}
	if int(length) > len(out) {
		return 0, "C_Sign", p11.Error(p11.CKR_BUFFER_TOO_SMALL)
	}
	return int(length), "", nil
}

//go:build cgo

package pkcs11

/*
#include "call.h"
*/
import "C"

import (
	"unsafe"

	p11 "github.com/miekg/pkcs11"
)

// login is C_Login; the PIN is not copied on the way. With no PIN at all a token
// that has a pad asks for it there.
func (m *module) login(session p11.SessionHandle, user uint, pin string) error {
	call, octets := cLoginAtPad, (*C.uchar)(nil)
	if pin != "" {
		call, octets = cLogin, (*C.uchar)(unsafe.StringData(pin))
	}
	defer m.watch.enter(call).leave()
	return result(C.hsmd_login(m.functions, C.ulong(session), C.ulong(user), octets, C.ulong(len(pin))))
}

// signInit is C_SignInit alone. What follows is signData, or SignUpdate and
// signFinal.
func (m *module) signInit(session p11.SessionHandle, key p11.ObjectHandle, mech mechanism) error {
	var parameter any
	if mech.hash != 0 {
		parameter = p11.NewPSSParams(mech.hash, mech.mgf, mech.salt)
	}
	return m.SignInit(session, []*p11.Mechanism{p11.NewMechanism(mech.id, parameter)}, key)
}

// signData is C_Sign after signInit.
func (m *module) signData(session p11.SessionHandle, data, out []byte) (int, error) {
	defer m.watch.enter(cSign).leave()
	length := C.ulong(len(out))
	err := result(C.hsmd_sign_data(m.functions, C.ulong(session),
		(*C.uchar)(unsafe.SliceData(data)), C.ulong(len(data)), (*C.uchar)(unsafe.SliceData(out)), &length))
	return fitting(length, out, err)
}

// signFinal is C_SignFinal.
func (m *module) signFinal(session p11.SessionHandle, out []byte) (int, error) {
	defer m.watch.enter(cSign).leave()
	length := C.ulong(len(out))
	err := result(C.hsmd_sign_final(m.functions, C.ulong(session), (*C.uchar)(unsafe.SliceData(out)), &length))
	return fitting(length, out, err)
}

func fitting(length C.ulong, out []byte, err error) (int, error) {
	if err == nil && int(length) > len(out) {
		err = p11.Error(p11.CKR_BUFFER_TOO_SMALL)
	}
	return int(length), err
}

func result(rv C.ulong) error {
	if rv == 0 {
		return nil
	}
	return p11.Error(rv)
}

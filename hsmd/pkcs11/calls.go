//go:build cgo

package pkcs11

import (
	p11 "github.com/miekg/pkcs11"
)

// The calls of the library, each under watch. What miekg/pkcs11 has beside them
// is not used.

func (m *module) Initialize(options ...p11.InitializeOption) error {
	defer m.watch.enter(cInitialize).leave()
	return m.ctx.Initialize(options...)
}

func (m *module) Finalize() error {
	defer m.watch.enter(cFinalize).leave()
	return m.ctx.Finalize()
}

func (m *module) GetSlotList(tokenPresent bool) ([]uint, error) {
	defer m.watch.enter(cGetSlotList).leave()
	return m.ctx.GetSlotList(tokenPresent)
}

func (m *module) GetTokenInfo(slot uint) (p11.TokenInfo, error) {
	defer m.watch.enter(cGetTokenInfo).leave()
	return m.ctx.GetTokenInfo(slot)
}

func (m *module) GetMechanismList(slot uint) ([]*p11.Mechanism, error) {
	defer m.watch.enter(cGetMechanismList).leave()
	return m.ctx.GetMechanismList(slot)
}

func (m *module) GetMechanismInfo(slot uint, mechanism []*p11.Mechanism) (p11.MechanismInfo, error) {
	defer m.watch.enter(cGetMechanismInfo).leave()
	return m.ctx.GetMechanismInfo(slot, mechanism)
}

func (m *module) OpenSession(slot, flags uint) (p11.SessionHandle, error) {
	defer m.watch.enter(cOpenSession).leave()
	return m.ctx.OpenSession(slot, flags)
}

func (m *module) CloseSession(session p11.SessionHandle) error {
	defer m.watch.enter(cCloseSession).leave()
	return m.ctx.CloseSession(session)
}

func (m *module) GetSessionInfo(session p11.SessionHandle) (p11.SessionInfo, error) {
	defer m.watch.enter(cGetSessionInfo).leave()
	return m.ctx.GetSessionInfo(session)
}

func (m *module) FindObjectsInit(session p11.SessionHandle, template []*p11.Attribute) error {
	defer m.watch.enter(cFindObjects).leave()
	return m.ctx.FindObjectsInit(session, template)
}

func (m *module) FindObjects(session p11.SessionHandle, most int) ([]p11.ObjectHandle, bool, error) {
	defer m.watch.enter(cFindObjects).leave()
	return m.ctx.FindObjects(session, most)
}

func (m *module) FindObjectsFinal(session p11.SessionHandle) error {
	defer m.watch.enter(cFindObjects).leave()
	return m.ctx.FindObjectsFinal(session)
}

func (m *module) GetAttributeValue(session p11.SessionHandle, object p11.ObjectHandle, template []*p11.Attribute) ([]*p11.Attribute, error) {
	defer m.watch.enter(cGetAttributeValue).leave()
	return m.ctx.GetAttributeValue(session, object, template)
}

func (m *module) GenerateKeyPair(session p11.SessionHandle, mechanism []*p11.Mechanism, public, private []*p11.Attribute) (p11.ObjectHandle, p11.ObjectHandle, error) {
	defer m.watch.enter(cGenerateKeyPair).leave()
	return m.ctx.GenerateKeyPair(session, mechanism, public, private)
}

func (m *module) SignInit(session p11.SessionHandle, mechanism []*p11.Mechanism, key p11.ObjectHandle) error {
	defer m.watch.enter(cSignInit).leave()
	return m.ctx.SignInit(session, mechanism, key)
}

func (m *module) SignUpdate(session p11.SessionHandle, part []byte) error {
	defer m.watch.enter(cSign).leave()
	return m.ctx.SignUpdate(session, part)
}

func (m *module) GenerateRandom(session p11.SessionHandle, length int) ([]byte, error) {
	defer m.watch.enter(cGenerateRandom).leave()
	return m.ctx.GenerateRandom(session, length)
}

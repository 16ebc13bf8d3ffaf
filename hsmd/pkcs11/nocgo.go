//go:build !cgo

package pkcs11

import (
	"context"
	"log/slog"

	"github.com/hsmpki/hsmpki/wire"
)

// Service refuses everything in a binary that was built without cgo.
type Service struct{}

var _ wire.Service = (*Service)(nil)

// New makes the Service.
func New(*slog.Logger) *Service { return &Service{} }

// Close does nothing.
func (s *Service) Close(bool) {}

var errNoCgo = wire.Errorf(wire.Unavailable, "this hsmd was built without cgo and cannot load PKCS#11 libraries")

// Configure implements [wire.Service].
func (s *Service) Configure(context.Context, *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	return nil, errNoCgo
}

// Describe implements [wire.Service].
func (s *Service) Describe(context.Context, *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	return nil, errNoCgo
}

// Generate implements [wire.Service].
func (s *Service) Generate(context.Context, *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	return nil, errNoCgo
}

// Sign implements [wire.Service].
func (s *Service) Sign(context.Context, *wire.SignRequest) (*wire.SignResponse, error) {
	return nil, errNoCgo
}

// Test implements [wire.Service].
func (s *Service) Test(context.Context, *wire.TestRequest) (*wire.TestResponse, error) {
	return nil, errNoCgo
}

// Forget implements [wire.Service].
func (s *Service) Forget(context.Context, *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	return nil, errNoCgo
}

// Status implements [wire.Service].
func (s *Service) Status(context.Context, *wire.StatusRequest) (*wire.StatusResponse, error) {
	return nil, errNoCgo
}

package wire

import "context"

// Approving is what a [Service] can be asked besides where it holds requests
// until people have approved them. hsmd does; its workers do not.
type Approving interface {
	// Approvals lists what waits, the oldest first.
	Approvals(ctx context.Context, req *ApprovalsRequest) (*ApprovalsResponse, error)
	// Approve adds one person's approval to what waits.
	Approve(ctx context.Context, req *ApproveRequest) (*ApproveResponse, error)
}

// ApprovalsRequest asks for what waits of the keys for which the caller may
// approve, or with an ID for that one alone, which is given whole.
type ApprovalsRequest struct {
	ID string `cbor:"1,keyasint,omitempty"`
}

// ApprovalsResponse lists it.
type ApprovalsResponse struct {
	Waiting []Waiting `cbor:"1,keyasint"`
}

// Waiting is one message that waits for approval, or that was approved and may
// still be signed.
type Waiting struct {
	ID        string   `cbor:"1,keyasint"`
	Key       string   `cbor:"2,keyasint"`
	Kind      string   `cbor:"3,keyasint"`           // "certificate", "crl", "ocsp" or "csr"
	Words     []string `cbor:"4,keyasint"`           // what would be signed, for people, a line each
	UID       uint32   `cbor:"5,keyasint"`           // of the user who asked
	Context   string   `cbor:"6,keyasint,omitempty"` // of the request
	Asked     int64    `cbor:"7,keyasint"`           // seconds since 1970
	Until     int64    `cbor:"8,keyasint"`           // seconds since 1970
	Given     []string `cbor:"9,keyasint,omitempty"` // names of those who approved
	Quorum    int      `cbor:"10,keyasint"`
	Statement string   `cbor:"11,keyasint"`           // the text that is to be signed, to the octet
	Message   []byte   `cbor:"12,keyasint,omitempty"` // the bytes themselves, where they are short enough for the answer
}

// ApproveRequest carries an SSH signature (sshsig, armoured) of the statement.
type ApproveRequest struct {
	ID        string `cbor:"1,keyasint"`
	Signature string `cbor:"2,keyasint"`
}

// ApproveResponse says whose approval it was, and how far the request is.
type ApproveResponse struct {
	Approver string   `cbor:"1,keyasint"`
	Given    []string `cbor:"2,keyasint"`
	Quorum   int      `cbor:"3,keyasint"`
}

// Approvals implements [Approving].
func (c *Client) Approvals(ctx context.Context, req *ApprovalsRequest) (*ApprovalsResponse, error) {
	return ask[ApprovalsResponse](ctx, c, opApprovals, req, nil)
}

// Approve implements [Approving].
func (c *Client) Approve(ctx context.Context, req *ApproveRequest) (*ApproveResponse, error) {
	return ask[ApproveResponse](ctx, c, opApprove, req, nil)
}

// bindApproving binds the operations of Approving, where the service has them.
func (s *server) bindApproving(o op, body []byte) (bound, error) {
	svc, is := s.svc.(Approving)
	if !is {
		return refused("nothing waits for approval here"), nil
	}
	if o == opApprovals {
		return bind(body, svc.Approvals)
	}
	return bind(body, svc.Approve)
}

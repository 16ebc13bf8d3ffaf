package tidy

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// State is what a run is at, in Vault's words.
type State string

// The states of a run.
const (
	Inactive   State = "Inactive" // there was none yet
	Running    State = "Running"
	Finished   State = "Finished"
	Failed     State = "Error"
	Cancelling State = "Cancelling"
	Cancelled  State = "Cancelled"
)

// Status tells of the last run. It is stored with each page that a run deletes,
// in the same update, so that the counts are right after a crash too.
type Status struct {
	Params   Params
	State    State
	Auto     bool
	Message  string
	Error    string
	Started  time.Time
	Finished time.Time

	CertsDeleted         int64 // stored or not
	RevocationsDeleted   int64
	IssuersDeleted       int64
	IssuersMissing       int64 // revocations whose issuer was gone
	LastAutoTidyFinished time.Time

	After []byte // where the pass over issuer associations is: a serial number
}

// Going reports whether a run is under way.
func (s *Status) Going() bool { return s.State == Running || s.State == Cancelling }

// read reads a record; where there is none, into stays as it is.
func read(r store.Reader, key []byte, into any) error {
	raw, err := r.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func write(tx store.Tx, key []byte, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.Put(key, raw)
}

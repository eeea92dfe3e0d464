package claim

import (
	"encoding/json"
	"errors"
	"testing"
)

// FuzzReadRecord wants an address that names a node, or ErrUnreadable.
func FuzzReadRecord(f *testing.F) {
	for _, s := range []string{`{"address":"a@1"}`, `{"address":"a@"}`, `{"address":"@"}`, `{}`, `{`, ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		address, err := readRecord(value)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) || address != "" {
				t.Errorf("%q, %v", address, err)
			}
			return
		}
		if node := nodeOf(address); node == "" || node == address {
			t.Errorf("%q is no address", address)
		}
		again, err := json.Marshal(record{Address: address})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readRecord(again); err != nil || got != address {
			t.Errorf("%q becomes %q, %v", address, got, err)
		}
	})
}

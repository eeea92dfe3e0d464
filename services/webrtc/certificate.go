package webrtc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"sync"
	"time"

	pion "github.com/pion/webrtc/v4"
)

// certificates holds the DTLS certificate that calls share: making one takes
// longer than answering an offer. A new one replaces it a week before it
// expires, for new calls; those that run keep theirs. The zero value works.
type certificates struct {
	mu      sync.Mutex // guards current
	current *pion.Certificate
}

func (c *certificates) get(now time.Time) (pion.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.current.Expires().Sub(now) < 7*24*time.Hour {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return pion.Certificate{}, err
		}
		if c.current, err = pion.GenerateCertificate(key); err != nil {
			return pion.Certificate{}, err
		}
	}
	return *c.current, nil
}

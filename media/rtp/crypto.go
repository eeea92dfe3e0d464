package rtp

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/pion/srtp/v3"
)

// A Suite is an SDES crypto suite, by its name in SDP (RFC 4568 section 6.2,
// RFC 6188 for AES-256, RFC 7714 for AEAD).
type Suite string

// The suites a [Session] can use.
const (
	AES128CM80 Suite = "AES_CM_128_HMAC_SHA1_80"
	AES128CM32 Suite = "AES_CM_128_HMAC_SHA1_32"
	AES256CM80 Suite = "AES_256_CM_HMAC_SHA1_80"
	AES256CM32 Suite = "AES_256_CM_HMAC_SHA1_32"
	AES128GCM  Suite = "AEAD_AES_128_GCM"
	AES256GCM  Suite = "AEAD_AES_256_GCM"
)

// profile is what a Suite means to pion/srtp.
type profile struct {
	id        srtp.ProtectionProfile
	key, salt int // bytes
}

func (s Suite) profile() (profile, bool) {
	switch s {
	case AES128CM80:
		return profile{srtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14}, true
	case AES128CM32:
		return profile{srtp.ProtectionProfileAes128CmHmacSha1_32, 16, 14}, true
	case AES256CM80:
		return profile{srtp.ProtectionProfileAes256CmHmacSha1_80, 32, 14}, true
	case AES256CM32:
		return profile{srtp.ProtectionProfileAes256CmHmacSha1_32, 32, 14}, true
	case AES128GCM:
		return profile{srtp.ProtectionProfileAeadAes128Gcm, 16, 12}, true
	case AES256GCM:
		return profile{srtp.ProtectionProfileAeadAes256Gcm, 32, 12}, true
	}
	return profile{}, false
}

// KeyLen is the length of a master key with its salt, in bytes; zero if the
// suite is unknown.
func (s Suite) KeyLen() int {
	p, _ := s.profile()
	return p.key + p.salt
}

// NewKey returns a random master key for the suite, which must be a known one.
func (s Suite) NewKey() Key {
	master := make([]byte, s.KeyLen())
	rand.Read(master)
	return Key{Master: master}
}

// A Key is one master key of SDES.
type Key struct {
	Master []byte // the key, then the salt, as "inline:" carries them
	MKI    []byte // the key identifier in every packet; empty: none
}

// String keeps keys out of logs.
func (k Key) String() string { return "[key]" }

// MarshalText keeps keys out of logs in JSON.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k Key) equal(o Key) bool {
	return bytes.Equal(k.Master, o.Master) && bytes.Equal(k.MKI, o.MKI)
}

// Crypto is the keying of both directions of a stream. Immutable.
type Crypto struct {
	Suite Suite
	Send  Key   // what we encrypt with
	Recv  []Key // what the peer may encrypt with: one, or several told apart by MKI
}

// sender returns a context that encrypts with c.Send.
func (c *Crypto) sender() (*srtp.Context, error) { return newContext(c.Suite, c.Send) }

// receiver returns a context that decrypts what any of c.Recv encrypted.
func (c *Crypto) receiver() (*srtp.Context, error) {
	if len(c.Recv) == 0 {
		return nil, fmt.Errorf("rtp: %s: no key of the peer", c.Suite)
	}
	// The window takes in the reordering of a burst of video packets.
	ctx, err := newContext(c.Suite, c.Recv[0], srtp.SRTPReplayProtection(256), srtp.SRTCPReplayProtection(64))
	if err != nil {
		return nil, err
	}
	p, _ := c.Suite.profile()
	for _, k := range c.Recv[1:] {
		if len(k.Master) != p.key+p.salt {
			return nil, fmt.Errorf("rtp: %s: master key of %d bytes, want %d", c.Suite, len(k.Master), p.key+p.salt)
		}
		if err := ctx.AddCipherForMKI(k.MKI, k.Master[:p.key], k.Master[p.key:]); err != nil {
			return nil, fmt.Errorf("rtp: %s: %w", c.Suite, err)
		}
	}
	return ctx, nil
}

func newContext(s Suite, k Key, opts ...srtp.ContextOption) (*srtp.Context, error) {
	p, ok := s.profile()
	if !ok {
		return nil, fmt.Errorf("rtp: unknown crypto suite %q", s)
	}
	if len(k.Master) != p.key+p.salt {
		return nil, fmt.Errorf("rtp: %s: master key of %d bytes, want %d", s, len(k.Master), p.key+p.salt)
	}
	if len(k.MKI) > 0 {
		opts = append(opts, srtp.MasterKeyIndicator(k.MKI))
	}
	return srtp.CreateContext(k.Master[:p.key], k.Master[p.key:], p.id, opts...)
}

// sameSend reports whether both keyings encrypt alike; nil means no keying.
func sameSend(a, b *Crypto) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Suite == b.Suite && a.Send.equal(b.Send)
}

// sameRecv is sameSend for the other direction.
func sameRecv(a, b *Crypto) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Suite == b.Suite && slices.EqualFunc(a.Recv, b.Recv, Key.equal)
}

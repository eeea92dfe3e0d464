package sdp

import "errors"

// Why there is no agreement. A [Refusal] wraps one of them.
var (
	// ErrNoCommonCodec says that no stream has a codec that both sides know.
	ErrNoCommonCodec = errors.New("sdp: no common codec")

	// ErrCryptoRequired says that we want SRTP and the peer did not offer it.
	ErrCryptoRequired = errors.New("sdp: encryption required and not offered")

	// ErrCryptoRefused says that the peer insists on SRTP and we have it
	// switched off, or share no crypto suite with it.
	ErrCryptoRefused = errors.New("sdp: encryption offered that is not accepted")

	// ErrTransport says that the peer wants a transport we do not have, such
	// as DTLS-SRTP.
	ErrTransport = errors.New("sdp: no common transport")

	// ErrNoMedia says that there is neither audio nor video to agree on.
	ErrNoMedia = errors.New("sdp: neither audio nor video offered")
)

// A Refusal says why an offer or an answer leads nowhere. SIP answers 488, with
// a Warning header of this code and text (RFC 3261 section 20.43).
type Refusal struct {
	Warning int    // such as 305, "incompatible media format"
	Text    string // for a human, without quotes
	Reason  error  // one of the sentinels of this package
}

func (r *Refusal) Error() string { return r.Reason.Error() + ": " + r.Text }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// refuse picks what to say when no stream was agreed on, from the reasons of
// all of them: first what the peer can do something about.
func refuse(reasons []*Refusal) *Refusal {
	for _, first := range []error{ErrCryptoRequired, ErrCryptoRefused, ErrNoCommonCodec, ErrTransport} {
		for _, r := range reasons {
			if errors.Is(r, first) {
				return r
			}
		}
	}
	return &Refusal{Warning: 304, Text: "Neither audio nor video", Reason: ErrNoMedia}
}

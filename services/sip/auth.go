package sip

import (
	"errors"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

var errNoCredential = errors.New("sip: no credential for that host and realm")

// authorize answers the challenge of a 401 or 407 to our request (RFC 3261
// section 22, RFC 8760). Credentials go to the host and realm that they were
// configured for, and to nobody else who asks. Of several challenges the
// strongest that can be answered is.
func authorize(creds []Credential, req *sip.Request, res *sip.Response, f flow) (sip.Header, error) {
	challenge, reply := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		challenge, reply = "Proxy-Authenticate", "Proxy-Authorization"
	}
	var best *digest.Challenge
	var with Credential
	for _, h := range res.GetHeaders(challenge) {
		ch, err := digest.ParseChallenge(h.Value())
		if err != nil {
			continue
		}
		ch.Algorithm = strings.ToUpper(ch.Algorithm) // a token; case means nothing
		if !digest.CanDigest(ch) {
			continue
		}
		cred, ok := credential(creds, req.Recipient.Host, f, ch.Realm)
		if ok && (best == nil || strength(ch) > strength(best)) {
			best, with = ch, cred
		}
	}
	if best == nil {
		return nil, errNoCredential
	}
	answer, err := digest.Digest(best, digest.Options{
		Method: string(req.Method), URI: req.Recipient.String(), Username: with.Username, Password: with.Password, Count: 1,
	})
	if err != nil {
		return nil, err
	}
	return sip.NewHeader(reply, answer.String()), nil
}

func credential(creds []Credential, host string, f flow, realm string) (Credential, bool) {
	for _, c := range creds {
		if c.Realm == realm && (strings.EqualFold(c.Host, host) || c.Host == f.peer().Addr().String()) {
			return c, true
		}
	}
	return Credential{}, false
}

// strength orders digest algorithms.
func strength(ch *digest.Challenge) int {
	switch ch.Algorithm {
	case "SHA-512", "SHA-512-256":
		return 3
	case "SHA-256":
		return 2
	}
	return 1
}

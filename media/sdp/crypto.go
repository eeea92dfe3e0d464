package sdp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/skybridge-media/skybridge/media/rtp"
)

// A cryptoLine is one a=crypto attribute (RFC 4568).
type cryptoLine struct {
	tag   int
	suite rtp.Suite
	keys  []rtp.Key
}

// errCrypto reports a line that is malformed or asks for what we do not do;
// the next one may be better.
var errCrypto = errors.New("sdp: unusable crypto attribute")

// parseCrypto reads the value of a=crypto:
//
//	1 AES_CM_128_HMAC_SHA1_80 inline:base64|2^31|1:4;inline:... WSH=128
func parseCrypto(value string) (cryptoLine, error) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return cryptoLine{}, errCrypto
	}
	tag, err := strconv.ParseUint(f[0], 10, 30)
	if err != nil {
		return cryptoLine{}, errCrypto
	}
	c := cryptoLine{tag: int(tag), suite: rtp.Suite(strings.ToUpper(f[1]))}
	if c.suite.KeyLen() == 0 {
		return cryptoLine{}, errCrypto
	}
	for _, param := range f[3:] {
		// The window size is a hint. Everything else changes what is on the
		// wire, and an unknown parameter means that the line cannot be used
		// (section 6.3.8).
		if !strings.HasPrefix(strings.ToUpper(param), "WSH=") {
			return cryptoLine{}, errCrypto
		}
	}
	for inline := range strings.SplitSeq(f[2], ";") {
		k, err := parseInline(inline, c.suite.KeyLen())
		if err != nil {
			return cryptoLine{}, err
		}
		c.keys = append(c.keys, k)
	}
	if !distinctMKI(c.keys) {
		return cryptoLine{}, errCrypto
	}
	return c, nil
}

// parseInline reads "inline:key[|lifetime][|MKI:length]".
func parseInline(s string, keyLen int) (rtp.Key, error) {
	const method = "inline:"
	if len(s) < len(method) || !strings.EqualFold(s[:len(method)], method) {
		return rtp.Key{}, errCrypto
	}
	parts := strings.Split(s[len(method):], "|")
	master, err := decodeBase64(parts[0])
	if err != nil || len(master) != keyLen || len(parts) > 3 {
		return rtp.Key{}, errCrypto
	}
	k := rtp.Key{Master: master}
	for _, part := range parts[1:] {
		if !strings.Contains(part, ":") {
			if !validLifetime(part) {
				return rtp.Key{}, errCrypto
			}
			continue
		}
		if k.MKI, err = parseMKI(part); err != nil {
			return rtp.Key{}, err
		}
	}
	return k, nil
}

// parseMKI reads "value:length" into the bytes that packets carry.
func parseMKI(s string) ([]byte, error) {
	value, length, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(length, 10, 8)
	// A value of 39 digits fits in the longest MKI, 128 bytes; the bound
	// spares us the arithmetic of longer ones.
	v, ok := new(big.Int).SetString(value[:min(len(value), 400)], 10)
	if err != nil || !ok || n < 1 || n > 128 || v.Sign() < 0 || v.BitLen() > int(n)*8 {
		return nil, errCrypto
	}
	return v.FillBytes(make([]byte, n)), nil
}

// validLifetime checks "2^31" or a number. Nothing is done with it: it is at
// least as long as a call in any endpoint seen, and nobody re-keys.
func validLifetime(s string) bool {
	if exponent, ok := strings.CutPrefix(s, "2^"); ok {
		n, err := strconv.ParseUint(exponent, 10, 8)
		return err == nil && n <= 48
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && n > 0 && n <= 1<<48
}

// distinctMKI reports whether several keys can be told apart by the packets.
func distinctMKI(keys []rtp.Key) bool {
	seen := map[string]bool{}
	for _, k := range keys {
		if len(keys) > 1 && (len(k.MKI) == 0 || len(k.MKI) != len(keys[0].MKI) || seen[string(k.MKI)]) {
			return false
		}
		seen[string(k.MKI)] = true
	}
	return true
}

// decodeBase64 takes keys with and without padding.
func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// String is the value of a=crypto. Our own keys have no MKI.
func (c cryptoLine) String() string {
	return fmt.Sprintf("%d %s inline:%s", c.tag, c.suite, base64.StdEncoding.EncodeToString(c.keys[0].Master))
}

// cryptoLines are the usable a=crypto attributes of m, in order.
func (m *Media) cryptoLines() []cryptoLine {
	var lines []cryptoLine
	for v := range m.Attributes.all("crypto") {
		if c, err := parseCrypto(v); err == nil {
			lines = append(lines, c)
		}
	}
	return lines
}

// chooseCrypto picks the first offered line whose suite is among ours.
func chooseCrypto(offered []cryptoLine, suites []rtp.Suite) (cryptoLine, bool) {
	i := slices.IndexFunc(offered, func(c cryptoLine) bool { return slices.Contains(suites, c.suite) })
	if i < 0 {
		return cryptoLine{}, false
	}
	return offered[i], true
}

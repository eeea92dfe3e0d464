// Package dtmf carries key presses: as RTP telephone events (RFC 4733) in both
// directions, and as bodies of SIP INFO.
//
// A [Detector] turns what arrives, whatever gateways do to it, into exactly one
// digit per key press. A [Sender] makes the packets of a key press. Both are
// pure: the caller owns the clock and the RTP stream.
package dtmf

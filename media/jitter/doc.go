// Package jitter turns packets as the network delivers them, early, late, twice
// or never, into media on a clock.
//
// [Audio] trades delay against loss. Its owner puts packets in as they arrive
// and asks every 20 ms what is to be played. The delay it keeps follows the
// jitter that it sees: it grows at once, by playing concealment while it waits
// for a late packet or by lengthening a silence, and shrinks slowly, by
// dropping silence or, rarely, by blending two packets of speech into one.
// Clock drift between sender and receiver is corrected in the same way.
//
// [Video] has no clock: a picture is due when it is complete. It sorts packets,
// says which ones to ask for again (RFC 4585 generic NACK) and when to stop
// waiting for them.
//
// Both are pure: no goroutine, no timer, no lock; time is an argument. Neither
// is safe for concurrent use. Neither allocates per packet once warmed up.
package jitter

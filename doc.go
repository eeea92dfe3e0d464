// Package skybridge is an actor-based media and job engine: SIP phones, room
// systems and browsers dial one alias and meet in one conference, mixed and
// transcoded by nodes that come and go with demand.
//
// The tree is the architecture. Read it bottom-up; a package may import only
// what is above its own line:
//
//	codecs/    transform: bytes <-> raw frames; no clock, no network, no goroutines
//	bus/       carries: what crosses a process boundary, and how
//	media/     moves: frames on a clock, RTP in, mixed frames out
//	actors/    decide: everything that holds state
//	services/  speak: every foreign protocol
//	cmd/       assembles: flags, configuration and wiring; no logic
//	bench/     measures: load generators, whole-system figures, published results
//
// TestImportDirection holds these rules; ARCHITECTURE.md follows one call
// through them.
package skybridge

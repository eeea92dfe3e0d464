// Package bridge is one conference's media on one node: a 20 ms audio tick
// with a mixer, a video clock with a compositor, and one encode per group of
// participants who hear or see the same.
//
// What to do is an immutable [Plan], replaced atomically by whoever decides
// (package actors/transcoder). What happens is told through [Config].Notify,
// rarely: no audio, no picture and no tick leaves the bridge that way.
//
// DESIGN.md in this directory describes a tick and a picture step by step, what
// happens under overload, and who may touch which state.
package bridge

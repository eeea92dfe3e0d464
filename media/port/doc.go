// Package port carries one participant's media in both directions, between a
// transport (package media/rtp, or services/webrtc) and a bridge.
//
//	network → AudioRTP → jitter.Audio → NextAudio, ReadAudio → bridge
//	network → VideoRTP → jitter.Video → payload.Assembler → decoder → Picture
//	bridge  → WriteAudio, WriteVideo → rtp.Writer → network
//
// The bridge's Tick drives playout, and decodes what is heard on its own
// goroutine. Video is decoded by a goroutine of its own, and only while the
// bridge wants it. Timers write reports, pace large pictures and notice when the
// peer has vanished.
//
// A peer may send its picture in several sizes side by side (simulcast, RFC
// 8853). The smallest that covers the tile it is seen in is decoded; the others
// are only counted. A peer is also told how much of what it sends is of any use
// at that size, by REMB or TMMBR.
//
// What is presented comes and goes in a second video stream ([Port.SetContent]),
// which is all that a first one is, but for tiers that keep text sharp, and a
// picture that stays for as long as there is none after it.
//
// What the other side of the path suffers is repaired here. Received audio is
// restored or concealed; audio sent to a peer that reports loss has redundancy, if
// its codec has. Received video is asked for again (NACK), and when
// that fails, or a picture turns out to be corrupt, a key frame is asked for,
// at most every 500 ms; meanwhile the last good picture stays. What we sent is
// sent again on request, and a receiver that reports a full path is moved to a
// lower tier, see [Port.VideoOut], without any other noticing.
package port

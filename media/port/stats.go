package port

import "time"

// Stats is what one participant's media has been through so far.
type Stats struct {
	AudioIn, AudioOut, VideoIn, VideoOut, ContentIn, ContentOut Stream
}

// Stream is one direction of one medium.
type Stream struct {
	Codec   string // SDP name; empty: no such stream
	Packets uint64
	Bytes   uint64 // RTP payload
	Bitrate int    // bit/s over the last second or so

	Lost   uint64        // packets: what we missed, or what the peer says it missed
	Loss   float64       // 0 to 1, over the last report interval
	Jitter time.Duration // RFC 3550 section 6.4.1
	RTT    time.Duration // zero: not known yet

	Delay     time.Duration // received audio: of the de-jitter buffer
	Late      uint64        // received audio: packets that came after their time
	Concealed uint64        // received audio: Ticks made up for lost packets

	Width, Height int    // video: of the latest picture; zero: none yet
	Pictures      uint64 // video: decoded, or sent
	KeyFrames     uint64 // video: received, or sent
	KeyRequests   uint64 // key frames that we asked for, or the peer
	NACKs         uint64 // packets asked for again, by us or the peer
	LayerChanges  uint64 // received video: times that another layer of a simulcast was taken
}

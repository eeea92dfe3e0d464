package bus

// TestCallFinished is published when a test call is over, with what was measured
// on its last second. "from" is what the caller sent, "to" what it was sent.
type TestCallFinished struct {
	Room          string  `json:"room"`                // name of the room; every test call has one of its own
	Participant   string  `json:"participant"`         // id of the caller
	Node          string  `json:"node"`                // node that has the call
	Reason        string  `json:"reason"`              // token: "finished", "hangup" before that, or "failed"
	Duration      Seconds `json:"duration_seconds"`    // from admission to the end
	MOSFrom       float64 `json:"mos_from"`            // estimated quality of sound, 1 to 4.5; 0: there was none
	MOSTo         float64 `json:"mos_to"`              // likewise, of what the caller heard
	LossFrom      float64 `json:"loss_from"`           // share of all packets of sound that were lost, 0 to 1
	LossTo        float64 `json:"loss_to"`             // likewise, as the caller reports it
	VideoLossFrom float64 `json:"video_loss_from"`     // share of all packets of pictures that were lost
	VideoLossTo   float64 `json:"video_loss_to"`       // likewise, as the caller reports it
	Jitter        Seconds `json:"jitter_seconds"`      // of received sound
	RoundTrip     Seconds `json:"round_trip_seconds"`  // 0: the caller does not report
	AudioCodec    string  `json:"audio_codec"`         // SDP name; empty: no sound
	VideoCodec    string  `json:"video_codec"`         // SDP name; empty: no picture
	Width         int     `json:"width"`               // of the picture that the caller sent last
	Height        int     `json:"height"`              // likewise
	AudioRateFrom int     `json:"audio_bit_rate_from"` // bit/s
	AudioRateTo   int     `json:"audio_bit_rate_to"`   // bit/s
	VideoRateFrom int     `json:"video_bit_rate_from"` // bit/s
	VideoRateTo   int     `json:"video_bit_rate_to"`   // bit/s
}

// Subject implements [Event].
func (e TestCallFinished) Subject() string {
	return subject("evt", "testcall", "finished", Token(e.Room), Token(e.Participant))
}

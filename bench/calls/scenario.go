package calls

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/skybridge-media/skybridge/bench/load"
	"github.com/skybridge-media/skybridge/bench/result"
)

// Profiles and modes, as the flags name them.
const (
	audio = "audio"
	sd    = "sd"    // 448p
	sd360 = "sd360" // 360p
	hd    = "hd"

	meeting    = "meeting"
	personal   = "personal"
	auditorium = "auditorium"
)

// Capacities of the reference system per node of 8 vCPU: HD, SD and audio.
var seeds = map[string]float64{hd: 17, sd: 39, sd360: 39, audio: 324}

// A scenario is one row of the table.
type scenario struct {
	profile, mode, codec, transport string
	levels                          bool // RFC 6464
	participants, roomSize, talkers int

	audio         string // codec
	width, height int    // of the picture sent and received; zero: audio only
	bitrate       int    // bit/s
	layout        string
	selfView      bool
	senders       string  // how they choose bitrates; "": load.Fixed
	fill          float64 // share of the processors that is to be busy

	reach float64 // calls on 8 vCPU that are required
}

// scenarios are the rows of the published table.
var scenarios = []scenario{
	{profile: audio, mode: meeting, codec: "PCMU", transport: rtp, participants: 400, roomSize: 100, talkers: 3, reach: 9000},
	{profile: audio, mode: meeting, codec: "opus", transport: srtp, levels: true, participants: 400, roomSize: 50, talkers: 3, reach: 6000},
	{profile: audio, mode: meeting, codec: "opus", transport: rtp, participants: 400, roomSize: 50, talkers: 3, reach: 2500},
	{profile: audio, mode: personal, codec: "opus", transport: rtp, levels: true, participants: 128, roomSize: 8, talkers: 8, reach: 550},

	{profile: sd, mode: personal, codec: "H264", transport: rtp, participants: 8, roomSize: 8, talkers: 3, width: 768, height: 448, bitrate: 768_000, layout: "1+7", reach: 64},
	{profile: sd, mode: meeting, codec: "H264", transport: rtp, participants: 16, roomSize: 8, talkers: 3, width: 768, height: 448, bitrate: 768_000, layout: "3x3", selfView: true, reach: 150},
	{profile: sd360, mode: meeting, codec: "H264", transport: rtp, participants: 16, roomSize: 8, talkers: 3, width: 640, height: 360, bitrate: 600_000, layout: "3x3", selfView: true, reach: 220},

	{profile: hd, mode: personal, codec: "H264", transport: rtp, participants: 6, roomSize: 6, talkers: 3, width: 1280, height: 720, bitrate: 1_500_000, layout: "1+7", reach: 24},
	{profile: hd, mode: meeting, codec: "H264", transport: rtp, participants: 8, roomSize: 8, talkers: 3, width: 1280, height: 720, bitrate: 1_500_000, layout: "3x3", selfView: true, reach: 60},
	{profile: hd, mode: meeting, codec: "H264", transport: rtp, senders: load.Simulcast, participants: 16, roomSize: 8, talkers: 3, width: 1280, height: 720, bitrate: 1_500_000, layout: "3x3", selfView: true, reach: 100},
	{profile: hd, mode: meeting, codec: "H264", transport: rtp, participants: 8, roomSize: 4, talkers: 3, width: 1280, height: 720, bitrate: 1_500_000, layout: "2x2", selfView: true, reach: 48},
	{profile: hd, mode: auditorium, codec: "H264", transport: rtp, participants: 241, roomSize: 241, talkers: 1, width: 1280, height: 720, bitrate: 1_500_000, layout: "1+0", selfView: true, reach: 2000},
}

// obeying are rows of the table once more, with senders that do as they are told,
// as room systems do. They are measured when asked for.
var obeying = []scenario{
	{profile: sd, mode: personal, codec: "H264", transport: rtp, senders: load.TMMBR, participants: 8, roomSize: 8, talkers: 3, width: 768, height: 448, bitrate: 768_000, layout: "1+7"},
	{profile: sd, mode: meeting, codec: "H264", transport: rtp, senders: load.TMMBR, participants: 16, roomSize: 8, talkers: 3, width: 768, height: 448, bitrate: 768_000, layout: "3x3", selfView: true},
	{profile: sd360, mode: meeting, codec: "H264", transport: rtp, senders: load.TMMBR, participants: 16, roomSize: 8, talkers: 3, width: 640, height: 360, bitrate: 600_000, layout: "3x3", selfView: true},
}

// smoke are the rows that guard against regressions: small, and dear enough to be
// measured in seconds.
var smoke = []scenario{
	{profile: audio, mode: meeting, codec: "opus", transport: srtp, levels: true, participants: 100, roomSize: 50, talkers: 3},
	{profile: sd360, mode: meeting, codec: "H264", transport: rtp, participants: 6, roomSize: 6, talkers: 3, width: 640, height: 360, bitrate: 600_000, layout: "3x3", selfView: true},
	{profile: sd360, mode: personal, codec: "H264", transport: rtp, participants: 4, roomSize: 4, talkers: 3, width: 640, height: 360, bitrate: 600_000, layout: "1+7"},
}

// Transports.
const (
	rtp    = "rtp"
	srtp   = "srtp"
	webrtc = "webrtc" // ICE, DTLS-SRTP and the client API
)

// frameRate is that of every scenario with video.
const frameRate = 30

func (s scenario) key() result.Key {
	return result.Key{
		Profile: s.profile, Mode: s.mode, Codec: s.codec, Transport: s.transport, RoomSize: s.roomSize, Senders: s.senders,
	}
}

// choose returns the scenarios that cfg selects. What cfg says about one
// replaces what the table says.
func choose(cfg Config) ([]scenario, error) {
	profiles, modes := []string{audio, sd, sd360, hd}, []string{meeting, personal, auditorium}
	if err := known("profile", cfg.Profile, profiles); err != nil {
		return nil, err
	}
	if err := known("mode", cfg.Mode, modes); err != nil {
		return nil, err
	}
	if err := known("transport", cfg.Transport, []string{rtp, srtp, webrtc}); err != nil {
		return nil, err
	}
	if err := known("senders", cfg.Senders, []string{load.Fixed, load.TMMBR, load.Simulcast}); err != nil {
		return nil, err
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Smoke {
		fixed := Config{Profile: "all", Mode: "all", Smoke: true, Seconds: cfg.Seconds, Clip: cfg.Clip}
		if cfg.Profile, cfg.Mode = cmp.Or(cfg.Profile, "all"), cmp.Or(cfg.Mode, "all"); cfg != fixed {
			return nil, errors.New("smoke: what is compared with earlier runs is fixed; it goes with seconds and clip only")
		}
		rows := slices.Clone(smoke)
		for i := range rows {
			rows[i] = rows[i].with(Config{})
		}
		return rows, nil
	}
	is := func(want, got string) bool { return want == "" || want == "all" || strings.EqualFold(want, got) }
	var base, chosen []scenario
	rows := scenarios
	if cfg.Senders != "" {
		rows = slices.Concat(scenarios, obeying)
	}
	for _, s := range rows {
		if is(cfg.Profile, s.profile) && is(cfg.Mode, s.mode) {
			base = append(base, s)
		}
	}
	for _, s := range base {
		if is(cfg.Codec, s.codec) && is(cfg.Transport, s.transport) && is(cfg.Senders, cmp.Or(s.senders, load.Fixed)) && (cfg.RoomSize == 0 || cfg.RoomSize == s.roomSize) {
			chosen = append(chosen, s)
		}
	}
	if len(base) == 0 {
		return nil, fmt.Errorf("there is no profile %s in mode %s", cfg.Profile, cfg.Mode)
	}
	if len(chosen) == 0 { // a variation of a row
		chosen = base[:1]
	}
	for _, s := range chosen {
		if codec := canonical(cfg.Codec); cfg.Codec != "" && cfg.Codec != "all" && (load.VideoCodec(codec) != nil) != (s.width > 0) {
			return nil, fmt.Errorf("codec: %s is not for profile %s", codec, s.profile)
		}
	}
	for i := range chosen {
		chosen[i] = chosen[i].with(cfg)
		switch s := chosen[i]; {
		case s.participants%s.roomSize != 0:
			return nil, fmt.Errorf("participants: %d do not fill rooms of %d", s.participants, s.roomSize)
		case s.senders != load.Fixed && s.width == 0:
			return nil, fmt.Errorf("senders: %s is about pictures, which profile %s does not have", s.senders, s.profile)
		case s.senders != load.Fixed && s.transport == webrtc:
			return nil, fmt.Errorf("senders: %s goes with transport rtp or srtp", s.senders)
		}
	}
	// Rows of different size may have become the same.
	var distinct []scenario
	for _, s := range chosen {
		if !slices.ContainsFunc(distinct, func(t scenario) bool { return t.key() == s.key() }) {
			distinct = append(distinct, s)
		}
	}
	return distinct, nil
}

// validate says what is wrong with figures, naming the field.
func (cfg *Config) validate() error {
	for field, n := range map[string]int{
		"participants": cfg.Participants, "room-size": cfg.RoomSize, "talkers": cfg.Talkers, "seconds": cfg.Seconds,
	} {
		if n < 0 {
			return fmt.Errorf("%s: %d is negative", field, n)
		}
	}
	switch {
	case cfg.Talkers > load.MaxTalkers:
		return fmt.Errorf("talkers: at most %d are told apart", load.MaxTalkers)
	case cfg.Clip != "":
		if _, err := os.Stat(cfg.Clip); err != nil {
			return fmt.Errorf("clip: %w", err)
		}
	}
	return known("codec", canonical(cfg.Codec), codecNames)
}

func known(field, value string, values []string) error {
	if value == "" || value == "all" || slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of %s, all", field, value, strings.Join(values, ", "))
}

// with returns s as cfg wants it. A row that is not the table's has no figure
// to reach.
func (s scenario) with(cfg Config) scenario {
	was := s
	if cfg.Codec != "" && cfg.Codec != "all" {
		s.codec = canonical(cfg.Codec)
	}
	if cfg.Transport != "" && cfg.Transport != "all" {
		s.transport = cfg.Transport
	}
	s.senders = cmp.Or(s.senders, load.Fixed)
	if cfg.Senders != "" && cfg.Senders != "all" {
		s.senders = cfg.Senders
	}
	s.roomSize = cmp.Or(cfg.RoomSize, min(s.roomSize, cmp.Or(cfg.Participants, s.roomSize)))
	s.participants = cmp.Or(cfg.Participants, s.participants/s.roomSize*s.roomSize, s.roomSize)
	s.talkers = min(cmp.Or(cfg.Talkers, s.talkers), s.roomSize)
	switch {
	case s.width == 0:
		s.audio = s.codec
	case s.transport == webrtc:
		s.audio = "opus"
	default:
		s.audio = "PCMU"
	}
	if s.senders != cmp.Or(was.senders, load.Fixed) || s.codec != was.codec || s.transport != was.transport || s.roomSize != was.roomSize || s.talkers != was.talkers {
		s.reach = 0
	}
	return s
}

// codecNames are those that calls can be measured with.
var codecNames = []string{"PCMU", "PCMA", "G722", "opus", "H264", "VP8"}

// canonical is the name that SDP has for a codec.
func canonical(codec string) string {
	for _, name := range codecNames {
		if strings.EqualFold(name, codec) {
			return name
		}
	}
	return codec
}

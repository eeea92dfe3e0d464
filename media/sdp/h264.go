package sdp

import (
	"fmt"
	"strconv"
	"strings"
)

// h264 is what the fmtp of an H.264 payload type says (RFC 6184 section 8.1).
type h264 struct {
	profile byte // profile_idc
	flags   byte // the constraint_set flags, "profile-iop"
	level   byte // level_idc; 9 stands for level 1b in every profile
	mode    int  // packetization mode

	asymmetry bool // the other direction may have another level
	// What the receiver does beyond its level; zero if not said.
	maxMBPS, maxFS, maxBR int // macroblocks per second, macroblocks, kbit/s
}

const (
	profileBaseline = 66
	profileMain     = 77
	profileHigh     = 100

	level1b      = 9
	flagLevel1b  = 0x10 // constraint_set3_flag: with level_idc 11, level 1b
	defaultLevel = 10
)

// parseH264 reads fmtp. Without a profile-level-id it is Baseline at level 1,
// without a packetization-mode it is mode 0.
func parseH264(f format) h264 {
	h := h264{
		profile: profileBaseline,
		level:   defaultLevel,
		mode:    f.number("packetization-mode"),
		maxMBPS: f.number("max-mbps"),
		maxFS:   f.number("max-fs"),
		maxBR:   f.number("max-br"),
	}
	if v, ok := f.param("profile-level-id"); ok {
		if n, err := strconv.ParseUint(v, 16, 24); err == nil && len(v) == 6 {
			h.profile, h.flags, h.level = byte(n>>16), byte(n>>8), byte(n)
		}
	}
	if h.profile < profileHigh && h.level == 11 && h.flags&flagLevel1b != 0 {
		h.level = level1b
	}
	if v, ok := f.param("level-asymmetry-allowed"); ok {
		h.asymmetry = v == "1"
	}
	return h
}

// usable reports whether we can decode the profile and packetize in the mode.
// What we send is Constrained Baseline, which decoders of all these profiles
// take (H.264 annex A.2).
func (h h264) usable() bool {
	switch h.profile {
	case profileBaseline, profileMain, profileHigh:
		return h.mode == 0 || h.mode == 1
	}
	return false
}

// rank orders the flavours of an offer: mode 1 needs fewer and larger
// packets, and the profile that we send ourselves goes before others.
func (h h264) rank() int {
	r := 0
	if h.mode == 1 {
		r += 2
	}
	if h.profile == profileBaseline {
		r++
	}
	return r
}

// profileLevelID is the value of the parameter of that name.
func (h h264) profileLevelID() string {
	flags, level := h.flags, h.level
	if h.profile < profileHigh {
		flags &^= flagLevel1b
		if level == level1b {
			flags, level = flags|flagLevel1b, 11
		}
	}
	return fmt.Sprintf("%02x%02x%02x", h.profile, flags, level)
}

// fmtp is the parameters of our side.
func (h h264) fmtp() string {
	var b strings.Builder
	fmt.Fprintf(&b, "profile-level-id=%s;packetization-mode=%d", h.profileLevelID(), h.mode)
	if h.asymmetry {
		b.WriteString(";level-asymmetry-allowed=1")
	}
	if h.maxFS > 0 {
		fmt.Fprintf(&b, ";max-mbps=%d;max-fs=%d", h.maxMBPS, h.maxFS)
	}
	return b.String()
}

// A level bounds a stream (H.264 table A-1).
type level struct {
	idc     byte
	maxMBPS int // macroblocks per second
	maxFS   int // macroblocks per picture
	maxBR   int // kbit/s of Baseline
}

var levels = []level{
	{10, 1485, 99, 64},
	{level1b, 1485, 99, 128},
	{11, 3000, 396, 192},
	{12, 6000, 396, 384},
	{13, 11880, 396, 768},
	{20, 11880, 396, 2000},
	{21, 19800, 792, 4000},
	{22, 20250, 1620, 4000},
	{30, 40500, 1620, 10000},
	{31, 108000, 3600, 14000},
	{32, 216000, 5120, 20000},
	{40, 245760, 8192, 20000},
	{41, 245760, 8192, 50000},
	{42, 522240, 8704, 50000},
	{50, 589824, 22080, 135000},
	{51, 983040, 36864, 240000},
	{52, 2073600, 36864, 240000},
}

// levelIndex finds a level, or the one below for a number that is none.
func levelIndex(idc byte) int {
	best := 0
	for i, l := range levels {
		if l.idc == idc {
			return i
		}
		if l.idc < idc {
			best = i
		}
	}
	return best
}

// levelFor is the lowest level that carries pictures of this size and rate.
func levelFor(width, height, rate int) byte {
	fs := macroblocks(width, height)
	for _, l := range levels {
		if l.maxFS >= fs && l.maxMBPS >= fs*rate {
			return l.idc
		}
	}
	return levels[len(levels)-1].idc
}

// lower returns the lower of two levels.
func lower(a, b byte) byte {
	if levelIndex(a) < levelIndex(b) {
		return a
	}
	return b
}

// limits are what the receiver that described itself as h takes.
func (h h264) limits() level {
	l := levels[levelIndex(h.level)]
	l.maxMBPS = max(l.maxMBPS, h.maxMBPS)
	l.maxFS = max(l.maxFS, h.maxFS)
	l.maxBR = max(l.maxBR, h.maxBR)
	return l
}

// macroblocks is the size of a picture in macroblocks of 16x16.
func macroblocks(width, height int) int { return (width + 15) / 16 * ((height + 15) / 16) }

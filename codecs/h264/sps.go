package h264

import (
	"fmt"

	"github.com/skybridge-media/skybridge/codecs"
)

// Profiles that the decoder supports (ITU-T H.264, section A.2).
const (
	profileBaseline = 66
	profileMain     = 77
	profileHigh     = 100
)

// An SPS is what a sequence parameter set says that matters before decoding.
type SPS struct {
	ID            int
	Profile       int // profile_idc
	Constraints   int // the constraint_set flags and two reserved bits
	Level         int // level_idc
	RefFrames     int // max_num_ref_frames
	Macroblocks   int // in a picture, before cropping
	Width, Height int // pixels, after cropping
}

// ParseSPS reads a NAL unit of type 7 and checks it against what the standard,
// the level and the decoder allow. The VUI is not looked at. What it refuses is
// [codecs.ErrCorrupt]. It does not allocate unless it refuses.
func ParseSPS(nal []byte) (SPS, error) {
	if len(nal) < 4 || nal[0]&0x80 != 0 || nalType(nal) != nalSPS {
		return SPS{}, corrupt("not an SPS")
	}
	r := newBitReader(nal)
	s := SPS{Profile: int(r.u(8)), Constraints: int(r.u(8)), Level: int(r.u(8))}
	id := r.ue()
	if id > 31 {
		return SPS{}, corrupt("SPS id %d", id)
	}
	s.ID = int(id)
	switch s.Profile {
	case profileBaseline, profileMain:
	case profileHigh:
		if err := skipHigh(&r); err != nil {
			return SPS{}, err
		}
	default:
		return SPS{}, corrupt("profile %d", s.Profile)
	}
	if n := r.ue(); n > 12 {
		return SPS{}, corrupt("log2_max_frame_num_minus4 %d", n)
	}
	if err := skipOrder(&r); err != nil {
		return SPS{}, err
	}
	refs := r.ue()
	if refs > 16 {
		return SPS{}, corrupt("%d reference frames", refs)
	}
	s.RefFrames = int(refs)
	r.flag() // gaps_in_frame_num_value_allowed_flag
	if err := s.size(&r); err != nil {
		return SPS{}, err
	}
	r.flag() // vui_parameters_present_flag, the last that must be there
	if r.overrun {
		return SPS{}, corrupt("SPS ends early")
	}
	return s, nil
}

// skipHigh reads what only High profiles have: 4:2:0 with 8 bits is what the
// decoder can do.
func skipHigh(r *bitReader) error {
	if chroma := r.ue(); chroma != 1 {
		return corrupt("chroma format %d", chroma)
	}
	if luma, chroma := r.ue(), r.ue(); luma != 0 || chroma != 0 {
		return corrupt("bit depths %d and %d above 8", luma, chroma)
	}
	if r.flag() {
		return corrupt("lossless transform bypass")
	}
	if r.flag() { // seq_scaling_matrix_present_flag
		for i := range 8 {
			if r.flag() {
				skipScalingList(r, i < 6)
			}
		}
	}
	return nil
}

// skipScalingList reads one scaling list (section 7.3.2.1.1.1).
func skipScalingList(r *bitReader, small bool) {
	size := 64
	if small {
		size = 16
	}
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			next = (last + r.se()) & 0xff
		}
		if next != 0 {
			last = next
		}
	}
}

// skipOrder reads the picture order count's configuration.
func skipOrder(r *bitReader) error {
	switch kind := r.ue(); kind {
	case 0:
		if n := r.ue(); n > 12 {
			return corrupt("log2_max_pic_order_cnt_lsb_minus4 %d", n)
		}
	case 1:
		r.flag() // delta_pic_order_always_zero_flag
		r.se()   // offset_for_non_ref_pic
		r.se()   // offset_for_top_to_bottom_field
		cycle := r.ue()
		if cycle > 255 {
			return corrupt("picture order cycle of %d", cycle)
		}
		for range cycle {
			r.se()
		}
	case 2:
	default:
		return corrupt("picture order count type %d", kind)
	}
	return nil
}

// size reads the picture's dimensions and holds them against the level
// (section A.3.1) and against what decoders here accept.
func (s *SPS) size(r *bitReader) error {
	columns, rows := r.ue(), r.ue()
	const most = 1 << 10 // keeps the arithmetic below far from overflow
	if columns >= most || rows >= most {
		return corrupt("%d by %d macroblocks", columns, rows)
	}
	columns, rows = columns+1, rows+1
	limit, known := maxFrameSize[s.Level]
	switch {
	case !r.flag(): // frame_mbs_only_flag
		return corrupt("interlaced")
	case !known:
		return corrupt("level %d", s.Level)
	case columns*rows > limit || columns*columns > 8*limit || rows*rows > 8*limit:
		return corrupt("%d by %d macroblocks at level %d", columns, rows, s.Level)
	}
	s.Macroblocks = int(columns * rows)
	width, height := int(columns)*16, int(rows)*16
	if !codecs.Decodable(width, height) {
		return corrupt("size %dx%d", width, height)
	}
	if s.Macroblocks > maxHD && s.RefFrames*s.Macroblocks > maxReferences {
		return corrupt("%d reference frames of %d macroblocks", s.RefFrames, s.Macroblocks)
	}
	r.flag()      // direct_8x8_inference_flag
	if r.flag() { // frame_cropping_flag
		left, right, top, bottom := r.ue(), r.ue(), r.ue(), r.ue()
		const most = 1 << 12
		if left > most || right > most || top > most || bottom > most {
			return corrupt("cropping by %d, %d, %d, %d", left, right, top, bottom)
		}
		width -= 2 * int(left+right) // units of chroma samples
		height -= 2 * int(top+bottom)
		if !codecs.Decodable(width, height) {
			return corrupt("size %dx%d after cropping", width, height)
		}
	}
	s.Width, s.Height = width, height
	return nil
}

// Decoders keep as many pictures as a stream says that it refers to. Of those that
// are larger than 1920x1088 it may be no more than level 5.1 allows (MaxDpbMbs of
// table A-1), in macroblocks: 5 of the largest.
const (
	maxHD         = 120 * 68
	maxReferences = 184320
)

// maxFrameSize is MaxFS of table A-1, in macroblocks, by level_idc. 9 is level
// 1b, which Baseline writes as 11 with a constraint flag and the same limit as 10.
var maxFrameSize = map[int]uint32{
	9: 99, 10: 99, 11: 396, 12: 396, 13: 396,
	20: 396, 21: 792, 22: 1620,
	30: 1620, 31: 3600, 32: 5120,
	40: 8192, 41: 8192, 42: 8704,
	50: 22080, 51: 36864, 52: 36864,
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("h264: "+format+": %w", append(args, codecs.ErrCorrupt)...)
}

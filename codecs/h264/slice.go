package h264

// A pps is what a picture parameter set says that matters before decoding.
type pps struct{ id, sps int }

// parsePPS reads a NAL unit of type 8 as far as its bounds matter.
func parsePPS(nal []byte) (pps, error) {
	r := newBitReader(nal)
	id, sps := r.ue(), r.ue()
	if id > 255 || sps > 31 {
		return pps{}, corrupt("PPS id %d of SPS %d", id, sps)
	}
	r.flag() // entropy_coding_mode_flag
	r.flag() // bottom_field_pic_order_in_frame_present_flag
	if groups := r.ue(); groups != 0 {
		return pps{}, corrupt("%d slice groups", groups+1)
	}
	if l0, l1 := r.ue(), r.ue(); l0 > 31 || l1 > 31 {
		return pps{}, corrupt("%d and %d reference indices", l0+1, l1+1)
	}
	r.u(3) // weighted_pred_flag, weighted_bipred_idc
	if qp, qs, chroma := r.se(), r.se(), r.se(); !within(qp, 26) || !within(qs, 26) || !within(chroma, 12) {
		return pps{}, corrupt("initial quantizers %d, %d, %d", qp, qs, chroma)
	}
	r.u(3) // deblocking_filter_control, constrained_intra_pred, redundant_pic_cnt
	if r.overrun {
		return pps{}, corrupt("PPS ends early")
	}
	return pps{int(id), int(sps)}, nil
}

func within(v, limit int32) bool { return -limit <= v && v <= limit }

// A slice is the beginning of a slice header (section 7.3.3).
type slice struct {
	first uint32 // first_mb_in_slice
	kind  uint32 // slice_type modulo 5
	pps   int
}

const (
	sliceP = 0
	sliceB = 1
	sliceI = 2
)

func parseSlice(nal []byte) (slice, error) {
	r := newBitReader(nal)
	first, kind, id := r.ue(), r.ue(), r.ue()
	switch {
	case r.overrun:
		return slice{}, corrupt("slice header ends early")
	case kind > 9 || kind%5 > sliceI:
		return slice{}, corrupt("slice type %d", kind)
	case nalType(nal) == nalIDR && kind%5 != sliceI:
		return slice{}, corrupt("slice type %d in an IDR picture", kind)
	case id > 255:
		return slice{}, corrupt("slice with PPS %d", id)
	}
	return slice{first, kind % 5, int(id)}, nil
}

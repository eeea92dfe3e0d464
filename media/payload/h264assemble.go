package payload

import (
	"encoding/binary"
	"fmt"
)

// maxParameters bounds the parameter sets that are remembered.
const maxParameters = 4096

// h264State is what an Assembler knows about the access unit at hand and the
// parameter sets before it.
type h264State struct {
	sps, idr  bool // the access unit has one
	fragment  bool // its last NAL unit is a FU-A that has not ended
	sawSlice  bool // since parameters were last added to
	params    []byte
	completed []byte // an access unit with parameters in front
}

func newH264State(parameters []byte) *h264State {
	s := &h264State{sawSlice: true} // in-band parameters replace the signalled ones
	if len(parameters) <= maxParameters {
		s.params = append(s.params, parameters...)
	}
	return s
}

func (s *h264State) begin() { s.sps, s.idr, s.fragment = false, false, false }

// complete puts the last known parameter sets in front of an IDR picture that
// comes without any: senders that gave them by signalling, or in an access
// unit of their own, do not repeat them.
func (s *h264State) complete(unit []byte) []byte {
	if s.idr && !s.sps && len(s.params) > 0 {
		s.completed = append(append(s.completed[:0], s.params...), unit...)
		unit = s.completed
	}
	s.begin()
	return unit
}

// nal takes note of a NAL unit of the given type.
func (s *h264State) nal(typ byte) {
	switch {
	case typ == nalSPS:
		s.sps = true
	case typ == nalIDR:
		s.idr, s.sawSlice = true, true
	case typ >= nalSlice && typ < nalIDR:
		s.sawSlice = true
	}
}

// remember keeps a whole parameter set. The first one after a picture begins
// a new collection, so that old sets of the same number go away.
func (s *h264State) remember(nal []byte) {
	if s.sawSlice {
		s.params, s.sawSlice = s.params[:0], false
	}
	if len(s.params)+len(startCode)+len(nal) <= maxParameters {
		s.params = append(append(s.params, startCode...), nal...)
	}
}

// addH264 takes any of the payload structures of the single NAL unit and the
// non-interleaved mode (RFC 6184 table 1), whichever mode was negotiated:
// senders mix them.
func (a *Assembler) addH264(p []byte) error {
	if len(p) == 0 {
		return fmt.Errorf("%w: empty payload", ErrMalformed)
	}
	switch typ := p[0] & nalType; {
	case typ >= 1 && typ < nalSTAPA:
		a.addNAL(p)
		return nil
	case typ == nalSTAPA:
		return a.addSTAPA(p[1:])
	case typ == nalFUA:
		return a.addFUA(p)
	default:
		return fmt.Errorf("%w: NAL unit type %d", ErrMalformed, typ)
	}
}

func (a *Assembler) addNAL(nal []byte) {
	typ := nal[0] & nalType
	a.h264.nal(typ)
	if typ == nalSPS || typ == nalPPS {
		a.h264.remember(nal)
	}
	a.h264.fragment = false
	a.unit = append(append(a.unit, startCode...), nal...)
}

func (a *Assembler) addSTAPA(p []byte) error {
	for len(p) > 0 {
		if len(p) < 2 {
			return fmt.Errorf("%w: STAP-A ends inside a size", ErrMalformed)
		}
		size := int(binary.BigEndian.Uint16(p))
		p = p[2:]
		switch {
		case size > len(p):
			return fmt.Errorf("%w: NAL unit of %d bytes in the %d left of a STAP-A", ErrMalformed, size, len(p))
		case size == 0: // says nothing, but some senders pad so
			continue
		case p[0]&nalType == 0 || p[0]&nalType >= nalSTAPA:
			return fmt.Errorf("%w: NAL unit type %d in a STAP-A", ErrMalformed, p[0]&nalType)
		}
		a.addNAL(p[:size])
		p = p[size:]
	}
	return nil
}

func (a *Assembler) addFUA(p []byte) error {
	if len(p) < 3 {
		return fmt.Errorf("%w: FU-A of %d bytes", ErrMalformed, len(p))
	}
	typ := p[1] & nalType
	switch {
	case typ == 0 || typ >= nalSTAPA:
		return fmt.Errorf("%w: NAL unit type %d in a FU-A", ErrMalformed, typ)
	case p[1]&fuStart != 0:
		a.h264.nal(typ)
		a.h264.fragment = true
		a.unit = append(append(a.unit, startCode...), p[0]&nalRef|typ)
	case !a.h264.fragment:
		return fmt.Errorf("%w: FU-A without a beginning", ErrMalformed)
	}
	a.unit = append(a.unit, p[2:]...)
	if p[1]&fuEnd != 0 {
		a.h264.fragment = false
	}
	return nil
}

// keyStartH264 looks for an SPS or the first slice of an IDR picture. A PPS
// alone does not count: some encoders send one with every picture.
func keyStartH264(p []byte) Start {
	if len(p) < 2 {
		return NotKey
	}
	switch typ := p[0] & nalType; typ {
	case nalSTAPA:
		for p = p[1:]; len(p) > 3; {
			size := int(binary.BigEndian.Uint16(p))
			if s := keyStartNAL(p[2]&nalType, p[3]); s != NotKey && size > 1 {
				return s
			}
			p = p[min(2+size, len(p)):]
		}
		return NotKey
	case nalFUA:
		if len(p) < 3 || p[1]&fuStart == 0 {
			return NotKey
		}
		return keyStartNAL(p[1]&nalType, p[2])
	default:
		return keyStartNAL(typ, p[1])
	}
}

// keyStartNAL judges a NAL unit by its type and the byte after its header. A
// slice header begins with first_mb_in_slice, of which 0 is coded as a 1 bit
// (ITU-T H.264, sections 7.3.3 and 9.1).
func keyStartNAL(typ, second byte) Start {
	switch {
	case typ == nalSPS:
		return SurelyKey
	case typ == nalIDR && second&0x80 != 0:
		return LikelyKey
	}
	return NotKey
}

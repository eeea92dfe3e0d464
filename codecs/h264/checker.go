package h264

import (
	"bytes"
	"slices"
)

// maxParameterSet bounds what is kept of a parameter set, in bytes. Scaling
// matrices and a full VUI stay below half of it.
const maxParameterSet = 1024

// A stored parameter set keeps its NAL unit beside what was read from it.
type stored[T any] struct {
	nal []byte // empty: never seen
	set T
}

func (s *stored[T]) put(nal []byte, set T) { s.nal, s.set = append(s.nal[:0], nal...), set }

// A checker stands between foreign bytes and openh264. It keeps the parameter
// sets and hands them on in front of the key frame that activates them, so that
// nothing about the decoder's memory changes at any other time.
type checker struct {
	sps   [32]stored[SPS]
	pps   [256]stored[pps]
	fresh [256]bool // PPSs the decoder has not seen in their present form

	active  int  // SPS of the last key frame, or -1
	changed bool // the active SPS was replaced and no key frame has followed

	used []int  // PPSs of the picture at hand
	unit []byte // the rewritten unit
}

func newChecker() *checker { return &checker{active: -1} }

// A picture is what an access unit contains.
type picture struct {
	slices int
	sps    int  // id
	key    bool // IDR
	fresh  bool // key, and begins with another SPS than the key frame before
	b      bool // has B slices, and no other picture refers to it
}

// check reads all of unit and returns what it contains, and the byte stream
// that the decoder may see, borrowed until the next call. It keeps parameter
// sets even of a unit that it refuses.
func (c *checker) check(unit []byte) (picture, []byte, error) {
	var pic picture
	c.used = c.used[:0]
	nal, rest := NextNAL(unit)
	if nal == nil {
		return pic, nil, corrupt("no NAL unit")
	}
	for ; nal != nil; nal, rest = NextNAL(rest) {
		if nal[0]&0x80 != 0 {
			return pic, nil, corrupt("forbidden_zero_bit")
		}
		var err error
		switch t := nalType(nal); {
		case t == nalSPS:
			err = c.keepSPS(nal)
		case t == nalPPS:
			err = c.keepPPS(nal)
		case t == nalSlice || t == nalIDR:
			err = c.addSlice(&pic, nal)
		case nalPartitionA <= t && t <= nalPartitionC:
			err = corrupt("data partitioning")
		}
		if err != nil {
			return pic, nil, err
		}
	}
	switch {
	case pic.slices == 0:
		return pic, nil, nil
	case !pic.key && (c.changed || pic.sps != c.active):
		return pic, nil, corrupt("parameter sets changed without a key frame")
	}
	pic.fresh = pic.key && c.active >= 0 && (c.changed || pic.sps != c.active)
	return pic, c.rewrite(pic, unit), nil
}

func (c *checker) keepSPS(nal []byte) error {
	if len(nal) > maxParameterSet {
		return corrupt("SPS of %d bytes", len(nal))
	}
	set, err := ParseSPS(nal)
	if err != nil {
		return err
	}
	s := &c.sps[set.ID]
	if !bytes.Equal(s.nal, nal) {
		s.put(nal, set)
		c.changed = c.changed || set.ID == c.active
	}
	return nil
}

func (c *checker) keepPPS(nal []byte) error {
	if len(nal) > maxParameterSet {
		return corrupt("PPS of %d bytes", len(nal))
	}
	set, err := parsePPS(nal)
	if err != nil {
		return err
	}
	p := &c.pps[set.id]
	if !bytes.Equal(p.nal, nal) {
		p.put(nal, set)
		c.fresh[set.id] = true
	}
	return nil
}

// addSlice checks nal against its parameter sets and the slices before it.
func (c *checker) addSlice(pic *picture, nal []byte) error {
	s, err := parseSlice(nal)
	if err != nil {
		return err
	}
	p := &c.pps[s.pps]
	if len(p.nal) == 0 || len(c.sps[p.set.sps].nal) == 0 {
		return corrupt("slice without parameter sets")
	}
	key := nalType(nal) == nalIDR
	if pic.slices == 0 {
		if s.first != 0 {
			return corrupt("first slice begins at macroblock %d", s.first)
		}
		pic.key, pic.sps = key, p.set.sps
	}
	switch {
	case key != pic.key || p.set.sps != pic.sps:
		return corrupt("slices of different pictures")
	case int(s.first) >= c.sps[pic.sps].set.Macroblocks:
		return corrupt("slice begins at macroblock %d", s.first)
	}
	if s.kind == sliceB {
		if nal[0]&0x60 != 0 { // nal_ref_idc
			return corrupt("B picture that others refer to")
		}
		pic.b = true
	}
	pic.slices++
	if !slices.Contains(c.used, s.pps) {
		c.used = append(c.used, s.pps)
	}
	return nil
}

// rewrite returns the slices of unit, behind the parameter sets that the
// decoder lacks. A key frame gets all it needs, in case the decoder has thrown
// away what it had.
func (c *checker) rewrite(pic picture, unit []byte) []byte {
	c.unit = c.unit[:0]
	if pic.key {
		c.active, c.changed = pic.sps, false
		for i := range c.fresh {
			c.fresh[i] = true
		}
		c.add(c.sps[pic.sps].nal)
	}
	for _, id := range c.used {
		if c.fresh[id] {
			c.fresh[id] = false
			c.add(c.pps[id].nal)
		}
	}
	for nal, rest := NextNAL(unit); nal != nil; nal, rest = NextNAL(rest) {
		if t := nalType(nal); t == nalSlice || t == nalIDR {
			c.add(nal)
		}
	}
	return c.unit
}

func (c *checker) add(nal []byte) {
	c.unit = append(c.unit, 0, 0, 0, 1)
	c.unit = append(c.unit, nal...)
}

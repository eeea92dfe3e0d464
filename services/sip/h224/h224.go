// Package h224 is far end camera control as room systems speak it beside their
// pictures: commands of H.281 in frames of H.224, one in each RTP packet (RFC
// 4573; H.323 annex Q). A frame has no HDLC flags, stuffing or checksum there.
//
// [Parse] and the Marshal methods are pure. What an endpoint can do is said in a
// [ClientList] and in [Capabilities]; both are asked for by commands of the same
// name.
package h224

import (
	"errors"
	"fmt"
	"time"
)

// An Action is what a [Command] does.
type Action uint8

// The actions. A camera that was started stops by itself after a while, unless
// the command is continued.
const (
	Start    Action = 1
	Continue Action = 2
	Stop     Action = 3
)

// A Direction is where an axis moves; zero: not at all.
type Direction int8

// The directions: left, down and out are back.
const (
	Back  Direction = -1
	Forth Direction = 1
)

// A Command moves a camera.
type Command struct {
	Action                 Action
	Pan, Tilt, Zoom, Focus Direction
	Timeout                time.Duration // of Start: 50 ms to 800 ms
}

// A ClientList says that the sender has far end camera control.
type ClientList struct{}

// Capabilities say that cameras can be moved.
type Capabilities struct{}

// A Query asks for what the other side has.
type Query struct {
	Capabilities bool // of camera control, else the list of clients
}

// ErrOther is returned for frames that are not about moving a camera, such as
// presets and other clients of H.224.
var ErrOther = errors.New("h224: nothing that moves a camera")

// The layout of a frame: two octets of address and one of control as in Q.922,
// two addresses of terminals, the client, and flags of segmentation.
const (
	highPriority = 0x71
	lowPriority  = 0x61
	unnumbered   = 0x03
	whole        = 0xc0 // begins and ends in this frame

	headerBytes = 9

	management    = 0x00 // the client that says what there is
	camera        = 0x01 // H.281
	moreToSay     = 0x80 // of a client in a list: it has capabilities
	clientMask    = 0x7f
	clientList    = 0x01
	capabilities  = 0x02
	message       = 0x00
	query         = 0xff
	timeoutUnit   = 50 * time.Millisecond
	longestMoving = 800 * time.Millisecond
)

// Parse reads a frame: a [*Command], [*ClientList], [*Capabilities] or [*Query].
func Parse(b []byte) (any, error) {
	switch {
	case len(b) <= headerBytes:
		return nil, fmt.Errorf("h224: %d octets, want more than %d", len(b), headerBytes)
	case b[0] != 0 || b[1] != highPriority && b[1] != lowPriority || b[2] != unnumbered:
		return nil, fmt.Errorf("h224: header % x is not of H.224", b[:3])
	case b[8] != whole:
		return nil, ErrOther // nothing that we know needs a second frame
	}
	client, data := b[7]&clientMask, b[headerBytes:]
	switch {
	case client == camera:
		return parseCommand(data)
	case client != management || len(data) < 2:
		return nil, ErrOther
	}
	switch [2]byte(data) {
	case [2]byte{clientList, query}:
		return &Query{}, nil
	case [2]byte{capabilities, query}:
		return &Query{Capabilities: true}, nil
	case [2]byte{clientList, message}:
		if len(data) < 3 {
			return nil, fmt.Errorf("h224: client list of %d octets", len(data))
		}
		for _, c := range data[3:min(len(data), 3+int(data[2]))] {
			if c&clientMask == camera {
				return &ClientList{}, nil
			}
		}
	case [2]byte{capabilities, message}:
		if len(data) > 2 && data[2]&clientMask == camera {
			return &Capabilities{}, nil
		}
	}
	return nil, ErrOther
}

func parseCommand(data []byte) (any, error) {
	c := &Command{Action: Action(data[0])}
	switch {
	case c.Action < Start || c.Action > Stop:
		return nil, ErrOther
	case len(data) < 2 || c.Action == Start && len(data) < 3:
		return nil, fmt.Errorf("h224: command of %d octets", len(data))
	}
	c.Pan, c.Tilt, c.Zoom, c.Focus = direction(data[1]>>6), direction(data[1]>>4), direction(data[1]>>2), direction(data[1])
	if c.Action == Start {
		c.Timeout = longestMoving
		if n := data[2] & 0xf; n > 0 {
			c.Timeout = time.Duration(n) * timeoutUnit
		}
	}
	return c, nil
}

// direction reads the two bits of an axis: whether it moves, and forth.
func direction(bits byte) Direction {
	switch bits & 3 {
	case 2:
		return Back
	case 3:
		return Forth
	}
	return 0
}

func (d Direction) bits() byte {
	switch d {
	case Back:
		return 2
	case Forth:
		return 3
	}
	return 0
}

// frame begins a frame of a client, to everybody.
func frame(client byte, data ...byte) []byte {
	return append([]byte{0, highPriority, unnumbered, 0, 0, 0, 0, client, whole}, data...)
}

// Marshal returns the frame. A timeout is rounded up, to no more than 800 ms.
func (c *Command) Marshal() []byte {
	b := frame(camera, byte(c.Action), c.Pan.bits()<<6|c.Tilt.bits()<<4|c.Zoom.bits()<<2|c.Focus.bits())
	if c.Action != Start {
		return b
	}
	n := (c.Timeout + timeoutUnit - 1) / timeoutUnit
	if n < 1 || n > 15 {
		n = 0 // 800 ms
	}
	return append(b, byte(n))
}

// Marshal returns the frame.
func (*ClientList) Marshal() []byte {
	return frame(management, clientList, message, 1, moreToSay|camera)
}

// Marshal returns the frame: one camera with moving pictures, pan, tilt and zoom,
// and no presets.
func (*Capabilities) Marshal() []byte {
	const noPresets, mainCameraMoving, panTiltZoom = 0x00, 0x14, 0xe0
	return frame(management, capabilities, message, moreToSay|camera, noPresets, mainCameraMoving, panTiltZoom)
}

// Marshal returns the frame.
func (q *Query) Marshal() []byte {
	if q.Capabilities {
		return frame(management, capabilities, query, moreToSay|camera)
	}
	return frame(management, clientList, query)
}

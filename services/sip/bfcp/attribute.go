package bfcp

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Type names an attribute (RFC 8855 section 5.2).
type Type uint8

// The attributes.
const (
	BeneficiaryID           Type = 1
	FloorID                 Type = 2
	FloorRequestID          Type = 3
	Priority                Type = 4
	RequestStatus           Type = 5
	ErrorCode               Type = 6
	ErrorInfo               Type = 7
	ParticipantProvidedInfo Type = 8
	StatusInfo              Type = 9
	SupportedAttributes     Type = 10
	SupportedPrimitives     Type = 11
	UserDisplayName         Type = 12
	UserURI                 Type = 13
	BeneficiaryInformation  Type = 14
	FloorRequestInformation Type = 15
	RequestedByInformation  Type = 16
	FloorRequestStatusInfo  Type = 17 // FLOOR-REQUEST-STATUS; the primitive has the name
	OverallRequestStatus    Type = 18
)

// A format says how a value is laid out.
type format struct {
	name  string
	least int  // octets of the value, without the two before it
	most  int  // zero: whatever fits
	group bool // an identifier, and attributes after it
}

// formats are the attributes of RFC 8855. All of them must be understood; the
// M bit matters for others only.
var formats = [...]format{
	BeneficiaryID:           {"BENEFICIARY-ID", 2, 2, false},
	FloorID:                 {"FLOOR-ID", 2, 2, false},
	FloorRequestID:          {"FLOOR-REQUEST-ID", 2, 2, false},
	Priority:                {"PRIORITY", 2, 2, false},
	RequestStatus:           {"REQUEST-STATUS", 2, 2, false},
	ErrorCode:               {"ERROR-CODE", 1, 0, false},
	ErrorInfo:               {"ERROR-INFO", 0, 0, false},
	ParticipantProvidedInfo: {"PARTICIPANT-PROVIDED-INFO", 0, 0, false},
	StatusInfo:              {"STATUS-INFO", 0, 0, false},
	SupportedAttributes:     {"SUPPORTED-ATTRIBUTES", 0, 0, false},
	SupportedPrimitives:     {"SUPPORTED-PRIMITIVES", 0, 0, false},
	UserDisplayName:         {"USER-DISPLAY-NAME", 0, 0, false},
	UserURI:                 {"USER-URI", 0, 0, false},
	BeneficiaryInformation:  {"BENEFICIARY-INFORMATION", 2, 0, true},
	FloorRequestInformation: {"FLOOR-REQUEST-INFORMATION", 2, 0, true},
	RequestedByInformation:  {"REQUESTED-BY-INFORMATION", 2, 0, true},
	FloorRequestStatusInfo:  {"FLOOR-REQUEST-STATUS", 2, 0, true},
	OverallRequestStatus:    {"OVERALL-REQUEST-STATUS", 2, 0, true},
}

func (t Type) known() bool { return t > 0 && int(t) < len(formats) }

func (t Type) String() string {
	if t.known() {
		return formats[t].name
	}
	return "attribute " + strconv.Itoa(int(t))
}

// An Attribute is one attribute of a message.
type Attribute struct {
	Type      Type
	Mandatory bool // the M bit

	// Value is what comes before padding: of a group its identifier only, of
	// what is not known here everything.
	Value []byte

	Group []Attribute // the attributes of a group
}

// What an attribute can hold: its length is one octet, and counts the two
// octets before the value. A group is a multiple of four.
const (
	maxValue = 255 - 2
	maxGroup = 252
	maxDepth = 4 // a message, a request, a status: one more than is needed
)

// Number makes an attribute whose value is a number of 16 bits.
func Number(t Type, n uint16) Attribute {
	return Attribute{Type: t, Mandatory: true, Value: binary.BigEndian.AppendUint16(nil, n)}
}

// Text makes an attribute whose value is text. What does not fit is cut off,
// between characters.
func Text(t Type, s string) Attribute {
	const longest = 120 // a group has to hold a name, a reason, and more
	s = strings.ToValidUTF8(s, "?")
	for len(s) > longest {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return Attribute{Type: t, Value: []byte(s)}
}

// Group makes an attribute that holds others.
func Group(t Type, id uint16, attributes ...Attribute) Attribute {
	a := Number(t, id)
	a.Group = attributes
	return a
}

// StatusOf makes a REQUEST-STATUS; place is the position in the queue, zero if
// there is none.
func StatusOf(s Status, place uint8) Attribute {
	return Attribute{Type: RequestStatus, Mandatory: true, Value: []byte{byte(s), place}}
}

// Failure makes an ERROR-CODE. Details are those of the code: of
// [UnknownMandatoryAttribute] the types of the attributes.
func Failure(c Code, details ...byte) Attribute {
	return Attribute{Type: ErrorCode, Mandatory: true, Value: append([]byte{byte(c)}, details...)}
}

// Number is the value as a number of 16 bits: an identifier.
func (a *Attribute) Number() uint16 {
	if a == nil || len(a.Value) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(a.Value)
}

// Text is the value as text, valid as UTF-8.
func (a *Attribute) Text() string {
	if a == nil {
		return ""
	}
	return strings.ToValidUTF8(string(a.Value), "\uFFFD")
}

// Status is the value of a REQUEST-STATUS.
func (a *Attribute) Status() (s Status, place uint8) {
	if a == nil || len(a.Value) < 2 {
		return 0, 0
	}
	return Status(a.Value[0]), a.Value[1]
}

// Code is the value of an ERROR-CODE.
func (a *Attribute) Code() Code {
	if a == nil || len(a.Value) == 0 {
		return 0
	}
	return Code(a.Value[0])
}

// Get returns the first attribute of that type in a group, nil if there is
// none.
func (a *Attribute) Get(t Type) *Attribute {
	if a == nil {
		return nil
	}
	return get(a.Group, t)
}

func get(attributes []Attribute, t Type) *Attribute {
	for i := range attributes {
		if attributes[i].Type == t {
			return &attributes[i]
		}
	}
	return nil
}

// appendAttributes writes attributes, each padded to a multiple of four.
func appendAttributes(b []byte, attributes []Attribute) ([]byte, error) {
	for i := range attributes {
		var err error
		if b, err = attributes[i].append(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (a *Attribute) append(b []byte) ([]byte, error) {
	if a.Type == 0 || a.Type > 127 {
		return nil, fmt.Errorf("bfcp: attribute type %d is not 1 to 127", a.Type)
	}
	start := len(b)
	first := byte(a.Type) << 1
	if a.Mandatory {
		first |= 1
	}
	b = append(b, first, 0)
	b = append(b, a.Value...)
	most := maxValue + 2
	if a.Type.known() && formats[a.Type].group {
		// Its length counts what it holds with padding (RFC 8855 section 5.2).
		var err error
		if b, err = appendAttributes(b, a.Group); err != nil {
			return nil, fmt.Errorf("%w in %v", err, a.Type)
		}
		most = maxGroup
	}
	n := len(b) - start
	if n > most {
		return nil, fmt.Errorf("bfcp: %v has %d octets, limit %d", a.Type, n, most)
	}
	b[start+1] = byte(n)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b, nil
}

// parseAttributes reads attributes until b ends. Types that are not known and
// must be are collected in unknown.
func parseAttributes(b []byte, depth int, unknown *[]byte) ([]Attribute, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("groups in groups, limit %d", maxDepth)
	}
	var attributes []Attribute
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, fmt.Errorf("%d octet after the last attribute", len(b))
		}
		a := Attribute{Type: Type(b[0] >> 1), Mandatory: b[0]&1 != 0}
		n := int(b[1])
		if n < 2 || n > len(b) {
			return nil, fmt.Errorf("%v has length %d, of %d octets left", a.Type, n, len(b))
		}
		value := b[2:n]
		// The last attribute of a group may lack its padding.
		b = b[min((n+3)&^3, len(b)):]
		if !a.Type.known() {
			if a.Mandatory {
				*unknown = append(*unknown, byte(a.Type)<<1)
			}
			if a.Type == 0 {
				continue // reserved, and could not be written again
			}
			a.Value = append([]byte(nil), value...)
			attributes = append(attributes, a)
			continue
		}
		f := formats[a.Type]
		if len(value) < f.least || f.most > 0 && len(value) > f.most {
			return nil, fmt.Errorf("%v has length %d", a.Type, n)
		}
		if f.group {
			if n > maxGroup {
				return nil, fmt.Errorf("%v has length %d, limit %d", a.Type, n, maxGroup)
			}
			var err error
			if a.Group, err = parseAttributes(value[2:], depth+1, unknown); err != nil {
				return nil, fmt.Errorf("%v: %w", a.Type, err)
			}
			value = value[:2]
		}
		a.Value = append([]byte(nil), value...)
		attributes = append(attributes, a)
	}
	return attributes, nil
}

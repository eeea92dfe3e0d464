package bfcp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// octets reads hexadecimal with spaces.
func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// conformance are messages laid out by hand from the figures of RFC 8855,
// section 5, with conference 0x01020304, transaction 7 and user 9.
var conformance = []struct {
	name, wire string
	message    bfcp.Message
}{
	{
		"FloorRequest", "40 01 0005 01020304 0007 0009" +
			"05 04 0001" + "03 04 000a" + "10 07 736c696465 00" + "09 04 6000",
		message(bfcp.FloorRequest, bfcp.Number(bfcp.FloorID, 1), bfcp.Number(bfcp.BeneficiaryID, 10),
			bfcp.Text(bfcp.ParticipantProvidedInfo, "slide"), bfcp.Number(bfcp.Priority, 3<<13)),
	},
	{
		"FloorRelease", "40 02 0001 01020304 0007 0009" + "07 04 0102",
		message(bfcp.FloorRelease, bfcp.Number(bfcp.FloorRequestID, 0x102)),
	},
	{
		"FloorRequestQuery", "40 03 0001 01020304 0007 0009" + "07 04 0102",
		message(bfcp.FloorRequestQuery, bfcp.Number(bfcp.FloorRequestID, 0x102)),
	},
	{
		// The group's length counts the padding of what is in it.
		"FloorRequestStatus", "50 04 000a 01020304 0007 0009" +
			"1f 28 0102" + "25 0c 0102" + "0b 04 0102" + "12 03 61 00" +
			"23 08 0001" + "0b 04 0300" +
			"1d 10 000a" + "18 05 426f62 000000" + "1a 04 783a",
		response(message(bfcp.FloorRequestStatus, bfcp.Group(bfcp.FloorRequestInformation, 0x102,
			bfcp.Group(bfcp.OverallRequestStatus, 0x102, bfcp.StatusOf(bfcp.Pending, 2), bfcp.Text(bfcp.StatusInfo, "a")),
			bfcp.Group(bfcp.FloorRequestStatusInfo, 1, bfcp.StatusOf(bfcp.Granted, 0)),
			bfcp.Group(bfcp.BeneficiaryInformation, 10, bfcp.Text(bfcp.UserDisplayName, "Bob"), bfcp.Text(bfcp.UserURI, "x:"))))),
	},
	{
		"UserQuery", "40 05 0001 01020304 0007 0009" + "03 04 000a",
		message(bfcp.UserQuery, bfcp.Number(bfcp.BeneficiaryID, 10)),
	},
	{
		"UserStatus", "50 06 0001 01020304 0007 0009" + "1d 04 000a",
		response(message(bfcp.UserStatus, bfcp.Group(bfcp.BeneficiaryInformation, 10))),
	},
	{"FloorQuery", "40 07 0001 01020304 0007 0009" + "05 04 0001", message(bfcp.FloorQuery, bfcp.Number(bfcp.FloorID, 1))},
	{
		"FloorStatus", "40 08 0003 01020304 0007 0009" + "05 04 0001" + "1f 08 0102" + "21 04 000b",
		message(bfcp.FloorStatus, bfcp.Number(bfcp.FloorID, 1),
			bfcp.Group(bfcp.FloorRequestInformation, 0x102, bfcp.Group(bfcp.RequestedByInformation, 11))),
	},
	{
		"ChairAction", "40 09 0001 01020304 0007 0009" + "1f 04 0102",
		message(bfcp.ChairAction, bfcp.Group(bfcp.FloorRequestInformation, 0x102)),
	},
	{"ChairActionAck", "50 0a 0000 01020304 0007 0009", response(message(bfcp.ChairActionAck))},
	{"Hello", "40 0b 0000 01020304 0007 0009", message(bfcp.Hello)},
	{
		"HelloAck", "50 0c 0004 01020304 0007 0009" + "17 05 010b0d 000000" + "15 06 02040600 0000",
		response(message(bfcp.HelloAck,
			bfcp.Attribute{Type: bfcp.SupportedPrimitives, Mandatory: true, Value: []byte{1, 11, 13}},
			bfcp.Attribute{Type: bfcp.SupportedAttributes, Mandatory: true, Value: []byte{2, 4, 6, 0}})),
	},
	{
		"Error", "50 0d 0003 01020304 0007 0009" + "0d 05 04 2a 2c 000000" + "0e 03 3f 00",
		response(message(bfcp.Error, bfcp.Failure(bfcp.UnknownMandatoryAttribute, 0x2a, 0x2c), bfcp.Text(bfcp.ErrorInfo, "?"))),
	},
	{"FloorRequestStatusAck", "50 0e 0000 01020304 0007 0009", response(message(bfcp.FloorRequestStatusAck))},
	{"FloorStatusAck", "50 0f 0000 01020304 0007 0009", response(message(bfcp.FloorStatusAck))},
	{"Goodbye", "40 10 0000 01020304 0007 0009", message(bfcp.Goodbye)},
	{"GoodbyeAck", "50 11 0000 01020304 0007 0009", response(message(bfcp.GoodbyeAck))},
	{"unknown primitive", "40 63 0001 01020304 0007 0009" + "05 04 0001", message(99, bfcp.Number(bfcp.FloorID, 1))},
	{
		"unknown attribute", "40 0b 0002 01020304 0007 0009" + "3c 05 010203 000000",
		message(bfcp.Hello, bfcp.Attribute{Type: 30, Value: []byte{1, 2, 3}}),
	},
	{
		"version 1 has no R", "20 0c 0000 01020304 0000 0009",
		bfcp.Message{Version: 1, Primitive: bfcp.HelloAck, Conference: 0x01020304, User: 9},
	},
}

func message(p bfcp.Primitive, attributes ...bfcp.Attribute) bfcp.Message {
	return bfcp.Message{Version: 2, Primitive: p, Conference: 0x01020304, Transaction: 7, User: 9, Attributes: attributes}
}

func response(m bfcp.Message) bfcp.Message {
	m.Response = true
	return m
}

// foreign are messages as another implementation (libre, of baresip) writes
// them, over TCP and without M bits.
var foreign = []struct {
	name, wire string
	message    bfcp.Message
}{
	{
		"FloorRequest", "20010004 01020304 fedcba98" + "04040001" + "02040002" + "10035800" + "08044000",
		ofLibre(bfcp.FloorRequest, optional(bfcp.Number(bfcp.FloorID, 1)), optional(bfcp.Number(bfcp.BeneficiaryID, 2)),
			bfcp.Text(bfcp.ParticipantProvidedInfo, "X"), optional(bfcp.Number(bfcp.Priority, 2<<13))),
	},
	{"FloorRelease", "20020001 01020304 fedcba98" + "06040003", ofLibre(bfcp.FloorRelease, optional(bfcp.Number(bfcp.FloorRequestID, 3)))},
	{
		"UserStatus", "20060012 01020304 fedcba98" + "1e488899" +
			"240c74ad" + "0a040402" + "12044f4b" +
			"220c0002" + "0a040202" + "12046f6b" +
			"220c0004" + "0a040703" + "12046a61" +
			"1c0c0001" + "18036100" + "1a036200" +
			"200c0002" + "18036300" + "1a036400" +
			"08044000" + "10037800",
		ofLibre(bfcp.UserStatus, optional(bfcp.Group(bfcp.FloorRequestInformation, 0x8899,
			optional(bfcp.Group(bfcp.OverallRequestStatus, 0x74ad, optional(bfcp.StatusOf(bfcp.Denied, 2)), bfcp.Text(bfcp.StatusInfo, "OK"))),
			optional(bfcp.Group(bfcp.FloorRequestStatusInfo, 2, optional(bfcp.StatusOf(bfcp.Accepted, 2)), bfcp.Text(bfcp.StatusInfo, "ok"))),
			optional(bfcp.Group(bfcp.FloorRequestStatusInfo, 4, optional(bfcp.StatusOf(bfcp.Revoked, 3)), bfcp.Text(bfcp.StatusInfo, "ja"))),
			optional(bfcp.Group(bfcp.BeneficiaryInformation, 1, bfcp.Text(bfcp.UserDisplayName, "a"), bfcp.Text(bfcp.UserURI, "b"))),
			optional(bfcp.Group(bfcp.RequestedByInformation, 2, bfcp.Text(bfcp.UserDisplayName, "c"), bfcp.Text(bfcp.UserURI, "d"))),
			optional(bfcp.Number(bfcp.Priority, 2<<13)), bfcp.Text(bfcp.ParticipantProvidedInfo, "x")))),
	},
	{"Hello", "200b0000 01020304 fedcba98", ofLibre(bfcp.Hello)},
	{
		"FloorRequestStatus", "20040004 00000001 00010001" + "1e100001" + "24080001" + "0a040300" + "22040002",
		bfcp.Message{Version: 1, Primitive: bfcp.FloorRequestStatus, Conference: 1, Transaction: 1, User: 1, Attributes: []bfcp.Attribute{
			optional(bfcp.Group(bfcp.FloorRequestInformation, 1,
				optional(bfcp.Group(bfcp.OverallRequestStatus, 1, optional(bfcp.StatusOf(bfcp.Granted, 0)))),
				optional(bfcp.Group(bfcp.FloorRequestStatusInfo, 2)))),
		}},
	},
}

func ofLibre(p bfcp.Primitive, attributes ...bfcp.Attribute) bfcp.Message {
	return bfcp.Message{Version: 1, Primitive: p, Conference: 0x01020304, Transaction: 0xfedc, User: 0xba98, Attributes: attributes}
}

func optional(a bfcp.Attribute) bfcp.Attribute {
	a.Mandatory = false
	return a
}

func TestForeign(t *testing.T) {
	for _, tt := range foreign {
		t.Run(tt.name, func(t *testing.T) {
			want := octets(t, tt.wire)
			got, err := bfcp.Parse(want)
			if err != nil || !reflect.DeepEqual(*got, tt.message) {
				t.Errorf("parsed\n%+v, want\n%+v, error %v", got, tt.message, err)
			}
			if b, err := tt.message.Marshal(); err != nil || !bytes.Equal(b, want) {
				t.Errorf("marshalled %x, want %x, error %v", b, want, err)
			}
		})
	}
}

// "When BFCP is used over a reliable transport, the flag has no significance" (RFC
// 8855 section 5.1, of R and of F).
func TestFlagsOnStreams(t *testing.T) {
	m, err := bfcp.Parse(octets(t, "38 0b 0000 01020304 0007 0009"))
	if err != nil || m.Primitive != bfcp.Hello || m.Version != bfcp.StreamVersion {
		t.Errorf("got %+v, error %v", m, err)
	}
}

func TestConformance(t *testing.T) {
	for _, tt := range conformance {
		t.Run(tt.name, func(t *testing.T) {
			wire := octets(t, tt.wire)
			got, err := bfcp.Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, tt.message) {
				t.Errorf("parsed\n%+v, want\n%+v", *got, tt.message)
			}
			b, err := tt.message.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, wire) {
				t.Errorf("written\n%x, want\n%x", b, wire)
			}
		})
	}
}

func TestParseMalformed(t *testing.T) {
	const header = " 01020304 0007 0009"
	tests := []struct {
		name, wire string
		code       bfcp.Code
		want       string
	}{
		{"empty", "", bfcp.IncorrectLength, "0 octets, a header has 12"},
		{"short header", "40 0b 0000 01020304 0007 00", bfcp.IncorrectLength, "11 octets, a header has 12"},
		{"version 0", "00 0b 0000" + header, bfcp.UnsupportedVersion, "version 0"},
		{"version 3", "60 0b 0000" + header, bfcp.UnsupportedVersion, "version 3"},
		{"fragment", "48 0b 0000" + header + "0000 0000", bfcp.Unparsable, "a fragment"},
		{"too short", "40 0b 0001" + header, bfcp.IncorrectLength, "payload length says 4 octets, there are 0"},
		{"too long", "40 0b 0000" + header + "05 04 0001", bfcp.IncorrectLength, "payload length says 0 octets, there are 4"},
		{"length of an attribute is 1", "40 07 0001" + header + "05 01 0001", bfcp.Unparsable, "FLOOR-ID has length 1, of 4 octets left"},
		{"attribute beyond the end", "40 07 0001" + header + "05 08 0001", bfcp.Unparsable, "FLOOR-ID has length 8, of 4 octets left"},
		{"number of one octet", "40 07 0001" + header + "05 03 0100", bfcp.Unparsable, "FLOOR-ID has length 3"},
		{"number of three octets", "40 07 0002" + header + "05 05 0001 02000000", bfcp.Unparsable, "FLOOR-ID has length 5"},
		{"no error code", "40 0d 0001" + header + "0d 02 0000", bfcp.Unparsable, "ERROR-CODE has length 2"},
		{"group without identifier", "40 04 0001" + header + "1f 03 0100", bfcp.Unparsable, "FLOOR-REQUEST-INFORMATION has length 3"},
		{"octet left in a group", "40 04 0002" + header + "1f 05 0001 05000000", bfcp.Unparsable, "FLOOR-REQUEST-INFORMATION: 1 octet after the last attribute"},
		{
			"groups in groups", "40 04 0005" + header + "1f 14 0001 1f 10 0001 1f 0c 0001 1f 08 0001 1f 04 0001",
			bfcp.Unparsable, "groups in groups, limit 4",
		},
		{"unknown and mandatory", "40 0b 0002" + header + "3d 04 0000 3f 04 0000", bfcp.UnknownMandatoryAttribute, "attribute 30"},
		{"huge", "40 0b ffff" + header + strings.Repeat("05040001", 65535), bfcp.IncorrectLength, "262140 octets, limit 16384"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := octets(t, tt.wire)
			m, err := bfcp.Parse(wire)
			e, ok := errors.AsType[*bfcp.ParseError](err)
			switch {
			case !ok:
				t.Fatalf("got %v, want a ParseError", err)
			case e.Code != tt.code || !strings.HasSuffix(err.Error(), tt.want):
				t.Errorf("got %v, want %v: %s", err, tt.code, tt.want)
			case (m != nil) != (len(wire) >= 12):
				t.Errorf("message %v", m)
			case m != nil && (m.Conference != 0x01020304 || m.Transaction != 7 || m.User != 9):
				t.Errorf("header %+v", m)
			}
			if tt.code == bfcp.UnknownMandatoryAttribute && !bytes.Equal(e.Details, []byte{30 << 1, 31 << 1}) {
				t.Errorf("details %x", e.Details)
			}
		})
	}
}

// "The Length in grouped attributes is the length of the grouped attribute
// itself plus the total length (including padding) of all the included
// attributes" (RFC 8855 section 5.2). Not everybody counts the last padding.
func TestParseGroupWithoutLastPadding(t *testing.T) {
	m, err := bfcp.Parse(octets(t, "40 06 0003 01020304 0007 0009"+"1d 09 000a"+"18 05 426f62 000000"))
	if err != nil {
		t.Fatal(err)
	}
	if name := m.Get(bfcp.BeneficiaryInformation).Get(bfcp.UserDisplayName).Text(); name != "Bob" {
		t.Errorf("got name %q, want Bob", name)
	}
}

func TestMarshalTooLong(t *testing.T) {
	long := bfcp.Attribute{Type: bfcp.StatusInfo, Value: make([]byte, 200)}
	tests := []struct {
		name      string
		attribute bfcp.Attribute
		want      string
	}{
		{"value", bfcp.Attribute{Type: bfcp.StatusInfo, Value: make([]byte, 254)}, "bfcp: STATUS-INFO has 256 octets, limit 255"},
		{"group", bfcp.Group(bfcp.OverallRequestStatus, 1, long, long), "bfcp: OVERALL-REQUEST-STATUS has 412 octets, limit 252"},
		{"type", bfcp.Attribute{Type: 128}, "bfcp: attribute type 128 is not 1 to 127"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := message(bfcp.FloorRequestStatus, tt.attribute)
			if _, err := m.Marshal(); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	a := bfcp.Text(bfcp.StatusInfo, strings.Repeat("會", 100)+"\xff")
	if got, want := a.Text(), strings.Repeat("會", 40); got != want {
		t.Errorf("got %d octets %q, want %d", len(got), got, len(want))
	}
}

// long is a message of 1520 octets.
func long(t testing.TB, transaction uint16) []byte {
	t.Helper()
	m := message(bfcp.FloorStatus)
	m.Transaction = transaction
	for i := range 377 {
		m.Attributes = append(m.Attributes, bfcp.Number(bfcp.FloorID, uint16(i)))
	}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFragments(t *testing.T) {
	now := time.Now()
	whole := long(t, 7)
	parts := bfcp.Fragment(whole, 600)
	if len(parts) != 3 {
		t.Fatalf("%d fragments", len(parts))
	}
	// The second one: version 2, F, the length of all, 146 words at offset 146.
	if want := octets(t, "48 08 0179 01020304 0007 0009 0092 0092"); !bytes.Equal(parts[1][:16], want) || len(parts[1]) != 600 {
		t.Errorf("header %x of %d octets, want %x", parts[1][:16], len(parts[1]), want)
	}
	if got := bfcp.Fragment(whole, len(whole)); len(got) != 1 || !bytes.Equal(got[0], whole) {
		t.Errorf("fragments of what fits: %d", len(got))
	}
	orders := map[string][]int{"in order": {0, 1, 2}, "reversed": {2, 1, 0}, "repeated": {0, 0, 2, 2, 1}}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			var a bfcp.Assembler
			for i, n := range order {
				got, err := a.Add(parts[n], now)
				if err != nil {
					t.Fatal(err)
				}
				if last := i == len(order)-1; (got != nil) != last || last && !bytes.Equal(got, whole) {
					t.Errorf("after %d: %d octets", i, len(got))
				}
			}
		})
	}
	t.Run("late", func(t *testing.T) {
		var a bfcp.Assembler
		add(t, &a, parts[0], now)
		add(t, &a, parts[1], now)
		if add(t, &a, parts[2], now.Add(11*time.Second)) != nil {
			t.Error("complete after 11 s")
		}
	})
	t.Run("a fifth message drops the first", func(t *testing.T) {
		var a bfcp.Assembler
		for i := range uint16(5) {
			for _, part := range bfcp.Fragment(long(t, i+1), 600)[:2] {
				add(t, &a, part, now)
			}
		}
		if add(t, &a, bfcp.Fragment(long(t, 1), 600)[2], now) != nil {
			t.Error("the first is complete")
		}
		if add(t, &a, bfcp.Fragment(long(t, 5), 600)[2], now) == nil {
			t.Error("the fifth is not complete")
		}
	})
	for name, wire := range map[string]string{
		"beyond the message": "48 08 0001 01020304 0007 0009 0001 0001 05040001",
		"wrong length":       "48 08 0002 01020304 0007 0009 0000 0002 05040001",
		"of nothing":         "48 08 0000 01020304 0007 0009 0000 0000",
		"without offset":     "48 08 0001 01020304 0007 0009",
	} {
		t.Run(name, func(t *testing.T) {
			var a bfcp.Assembler
			got, err := a.Add(octets(t, wire), now)
			if e, ok := errors.AsType[*bfcp.ParseError](err); got != nil || !ok || e.Code != bfcp.IncorrectLength {
				t.Errorf("got %x, error %v", got, err)
			}
		})
	}
	t.Run("a wrong one takes its message with it", func(t *testing.T) {
		var a bfcp.Assembler
		add(t, &a, parts[0], now)
		add(t, &a, parts[1], now)
		if _, err := a.Add(append(parts[2:3:3], parts[2][:len(parts[2])-4])[1], now); err == nil {
			t.Error("no error")
		}
		if add(t, &a, parts[2], now) != nil {
			t.Error("complete")
		}
	})
}

// add fails when a fragment is wrong.
func add(t *testing.T, a *bfcp.Assembler, b []byte, now time.Time) []byte {
	t.Helper()
	whole, err := a.Add(b, now)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// FuzzParse: no message panics, and what is read can be written and read again
// without a change.
func FuzzParse(f *testing.F) {
	for _, tt := range conformance {
		f.Add(octets(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := bfcp.Parse(b)
		if err != nil {
			if _, ok := errors.AsType[*bfcp.ParseError](err); !ok {
				t.Errorf("error %v", err)
			}
			return
		}
		once, err := m.Marshal()
		if err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
		again, err := bfcp.Parse(once)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%x", err, once)
		}
		if twice, _ := again.Marshal(); !bytes.Equal(once, twice) {
			t.Errorf("changed from\n%x to\n%x", once, twice)
		}
	})
}

// FuzzAssembler: fragments of whatever kind and order do not panic, and only a
// message that is no fragment comes out.
func FuzzAssembler(f *testing.F) {
	for _, part := range bfcp.Fragment(long(f, 7), 600) {
		f.Add(part, part)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var a bfcp.Assembler
		for _, b := range [][]byte{first, second, first} {
			if m, _ := a.Add(b, time.Time{}); len(m) >= 12 && m[0]&8 != 0 {
				t.Errorf("a fragment came out: %x", m)
			}
		}
	})
}

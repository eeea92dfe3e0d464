package bfcp

import "strconv"

// A Primitive says what a message is (RFC 8855 section 5.1).
type Primitive uint8

// The primitives.
const (
	FloorRequest          Primitive = 1
	FloorRelease          Primitive = 2
	FloorRequestQuery     Primitive = 3
	FloorRequestStatus    Primitive = 4
	UserQuery             Primitive = 5
	UserStatus            Primitive = 6
	FloorQuery            Primitive = 7
	FloorStatus           Primitive = 8
	ChairAction           Primitive = 9
	ChairActionAck        Primitive = 10
	Hello                 Primitive = 11
	HelloAck              Primitive = 12
	Error                 Primitive = 13
	FloorRequestStatusAck Primitive = 14
	FloorStatusAck        Primitive = 15
	Goodbye               Primitive = 16
	GoodbyeAck            Primitive = 17
)

var primitiveNames = [...]string{
	FloorRequest:          "FloorRequest",
	FloorRelease:          "FloorRelease",
	FloorRequestQuery:     "FloorRequestQuery",
	FloorRequestStatus:    "FloorRequestStatus",
	UserQuery:             "UserQuery",
	UserStatus:            "UserStatus",
	FloorQuery:            "FloorQuery",
	FloorStatus:           "FloorStatus",
	ChairAction:           "ChairAction",
	ChairActionAck:        "ChairActionAck",
	Hello:                 "Hello",
	HelloAck:              "HelloAck",
	Error:                 "Error",
	FloorRequestStatusAck: "FloorRequestStatusAck",
	FloorStatusAck:        "FloorStatusAck",
	Goodbye:               "Goodbye",
	GoodbyeAck:            "GoodbyeAck",
}

func (p Primitive) known() bool { return p >= FloorRequest && p <= GoodbyeAck }

func (p Primitive) String() string {
	if p.known() {
		return primitiveNames[p]
	}
	return "primitive " + strconv.Itoa(int(p))
}

// answers reports whether p is only ever an answer. FloorRequestStatus and
// FloorStatus are sometimes one, and sometimes news.
func (p Primitive) answers() bool {
	switch p {
	case UserStatus, ChairActionAck, HelloAck, Error, FloorRequestStatusAck, FloorStatusAck, GoodbyeAck:
		return true
	}
	return false
}

// A Status is what has become of a floor request (RFC 8855 section 5.2.5).
type Status uint8

// The statuses. After the last four the request is over.
const (
	Pending   Status = 1 // not decided yet
	Accepted  Status = 2 // granted as soon as the floor is free
	Granted   Status = 3
	Denied    Status = 4
	Cancelled Status = 5 // by who asked, before it was granted
	Released  Status = 6 // by who had it
	Revoked   Status = 7 // by the server
)

var statusNames = [...]string{"none", "pending", "accepted", "granted", "denied", "cancelled", "released", "revoked"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "status " + strconv.Itoa(int(s))
}

// Over reports whether a request in that status is over.
func (s Status) Over() bool { return s >= Denied }

// A Code is the reason of an Error (RFC 8855 section 5.2.6).
type Code uint8

// The codes.
const (
	UnknownConference         Code = 1
	UnknownUser               Code = 2
	UnknownPrimitive          Code = 3
	UnknownMandatoryAttribute Code = 4
	Unauthorized              Code = 5
	InvalidFloor              Code = 6
	UnknownRequest            Code = 7
	TooManyRequests           Code = 8
	UseTLS                    Code = 9
	Unparsable                Code = 10
	UseDTLS                   Code = 11
	UnsupportedVersion        Code = 12
	IncorrectLength           Code = 13
	GenericError              Code = 14
)

var codeTexts = [...]string{
	UnknownConference:         "conference does not exist",
	UnknownUser:               "user does not exist",
	UnknownPrimitive:          "unknown primitive",
	UnknownMandatoryAttribute: "unknown mandatory attribute",
	Unauthorized:              "unauthorized operation",
	InvalidFloor:              "invalid floor",
	UnknownRequest:            "floor request does not exist",
	TooManyRequests:           "too many floor requests",
	UseTLS:                    "use TLS",
	Unparsable:                "unable to parse message",
	UseDTLS:                   "use DTLS",
	UnsupportedVersion:        "unsupported version",
	IncorrectLength:           "incorrect message length",
	GenericError:              "generic error",
}

func (c Code) String() string {
	if c > 0 && int(c) < len(codeTexts) {
		return codeTexts[c]
	}
	return "error " + strconv.Itoa(int(c))
}

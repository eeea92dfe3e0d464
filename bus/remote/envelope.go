package remote

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/bus"
)

// Fields of an envelope, in protobuf's encoding. The sender of a message fills
// in what it knows; sequence number and source are appended last, when it is
// this message's turn.
const (
	fieldTarget  = 1 // id of the receiving actor
	fieldAddress = 2 // of the sender; absent when it is on the source node
	fieldSender  = 3 // id of the sending actor; absent when nobody waits for a reply
	fieldNumber  = 4 // type of the message
	fieldPayload = 5
	fieldSeq     = 6 // of this message on its lane between two incarnations, from 1
	fieldSource  = 7 // address of the sending node
	fieldHeader  = 8 // repeated: {1 key, 2 value}
)

// envelope is what surrounds a message on the wire. After decode, payload
// borrows from the input.
type envelope struct {
	target, address, sender string
	number                  uint32
	payload                 []byte
	header                  map[string]string
	seq                     uint64
	source                  string
}

var errEnvelope = errors.New("remote: malformed envelope")

// encode appends the envelope without sequence number and source, around
// message: a registered protobuf message or a *bus.Error.
func (r *Registry) encode(b []byte, e *envelope, message any) ([]byte, error) {
	b = appendString(b, fieldTarget, e.target)
	b = appendString(b, fieldAddress, e.address)
	b = appendString(b, fieldSender, e.sender)
	for k, v := range e.header {
		entry := appendString(appendString(nil, 1, k), 2, v)
		b = protowire.AppendTag(b, fieldHeader, protowire.BytesType)
		b = protowire.AppendBytes(b, entry)
	}
	switch m := message.(type) {
	case proto.Message:
		number, err := r.numberOf(m)
		if err != nil {
			return nil, err
		}
		b = appendVarint(b, fieldNumber, uint64(number))
		b = protowire.AppendTag(b, fieldPayload, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(proto.Size(m)))
		return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
	case *bus.Error:
		payload := appendString(appendString(nil, 1, string(m.Code)), 2, m.Text)
		return appendPayload(b, numError, payload), nil
	default:
		return nil, fmt.Errorf("%w: %T", errType, message)
	}
}

// appendPayload appends a message that this package encodes itself.
func appendPayload(b []byte, number uint32, payload []byte) []byte {
	b = appendVarint(b, fieldNumber, uint64(number))
	b = protowire.AppendTag(b, fieldPayload, protowire.BytesType)
	return protowire.AppendBytes(b, payload)
}

// seal completes an envelope.
func seal(b []byte, seq uint64, source string) []byte {
	return appendString(appendVarint(b, fieldSeq, seq), fieldSource, source)
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

// decode reads an envelope from a peer.
func (e *envelope) decode(b []byte) error {
	headerBytes := 0
	err := eachField(b, func(field protowire.Number, v uint64, s []byte) error {
		switch field {
		case fieldTarget:
			e.target = string(s)
		case fieldAddress:
			e.address = string(s)
		case fieldSender:
			e.sender = string(s)
		case fieldNumber:
			e.number = uint32(min(v, 1<<32-1))
		case fieldPayload:
			e.payload = s
		case fieldSeq:
			e.seq = v
		case fieldSource:
			e.source = string(s)
		case fieldHeader:
			if headerBytes += len(s); headerBytes > maxHeaderBytes {
				return errEnvelope
			}
			return e.decodeHeader(s)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case e.seq == 0 && e.number != numBuried, len(e.target) > maxIDBytes, len(e.sender) > maxIDBytes, len(e.address) > maxAddressBytes:
		return errEnvelope
	}
	return nil
}

// What a peer may send at most.
const (
	maxIDBytes     = 1 << 10 // name of an actor
	maxHeaderBytes = 8 << 10 // all headers of a message
)

func (e *envelope) decodeHeader(b []byte) error {
	var key, value string
	err := eachField(b, func(field protowire.Number, _ uint64, s []byte) error {
		switch field {
		case 1:
			key = string(s)
		case 2:
			value = string(s)
		}
		return nil
	})
	if e.header == nil {
		e.header = map[string]string{}
	}
	e.header[key] = value
	return err
}

// decodeError reads the payload of a *bus.Error.
func decodeError(b []byte) (*bus.Error, error) {
	var e bus.Error
	err := eachField(b, func(field protowire.Number, _ uint64, s []byte) error {
		switch field {
		case 1:
			e.Code = bus.Code(s)
		case 2:
			e.Text = string(s)
		}
		return nil
	})
	return &e, err
}

// eachField calls f for the fields of a protobuf message: v for those of type
// varint, s for those of type bytes. Other types are skipped, so that fields
// can be added.
func eachField(b []byte, f func(field protowire.Number, v uint64, s []byte) error) error {
	for len(b) > 0 {
		field, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errEnvelope
		}
		b = b[n:]
		var v uint64
		var s []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			s, n = protowire.ConsumeBytes(b)
		default:
			if n = protowire.ConsumeFieldValue(field, typ, b); n >= 0 {
				b = b[n:]
				continue
			}
		}
		if n < 0 {
			return errEnvelope
		}
		b = b[n:]
		if err := f(field, v, s); err != nil {
			return err
		}
	}
	return nil
}

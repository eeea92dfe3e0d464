package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"
)

// A Stamp is what the publisher adds to an event.
type Stamp struct {
	ID   string    `json:"id"`   // unique: consumers that see it twice ignore the second
	Time time.Time `json:"time"` // when it was published, UTC
}

// NewStamp returns a stamp with a new id and the present time.
func NewStamp() Stamp {
	return Stamp{ID: uuid.Must(uuid.NewV7()).String(), Time: time.Now().UTC().Truncate(time.Millisecond)}
}

// Received is an event as a consumer sees it. Package bus knows the kinds of
// this version; a consumer may meet others.
type Received struct {
	Stamp
	Subject string
	Kind    string // such as "participant.joined"; header Sky-Type
	Data    []byte // the event in JSON, with id and time
	Event   Event  // decoded; nil for a kind that this version does not know
}

// Encode returns the JSON of an event: its own fields after those of the stamp.
func Encode(e Event, s Stamp) ([]byte, error) {
	head, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", e, err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", e, err)
	}
	if len(body) < 3 || body[0] != '{' {
		return nil, fmt.Errorf("encode %T: not a struct with fields", e)
	}
	return append(append(head[:len(head)-1], ','), body[1:]...), nil
}

// errNoEvent is what Decode returns for a subject outside sky.evt.
var errNoEvent = errors.New("bus: not the subject of an event")

// Decode undoes [Encode]. A kind that this version does not know is not an
// error: Event is nil then.
func Decode(subject string, data []byte) (Received, error) {
	kind, ok := kindOfSubject(subject)
	if !ok {
		return Received{}, errNoEvent
	}
	r := Received{Subject: subject, Kind: kind, Data: bytes.Clone(data)}
	if err := json.Unmarshal(data, &r.Stamp); err != nil {
		return Received{}, fmt.Errorf("decode %s: %w", kind, err)
	}
	t, ok := kinds[kind]
	if !ok {
		return r, nil
	}
	v := reflect.New(t)
	if err := json.Unmarshal(data, v.Interface()); err != nil {
		return Received{}, fmt.Errorf("decode %s: %w", kind, err)
	}
	r.Event = v.Elem().Interface().(Event)
	return r, nil
}

// Events lists every kind of event, in the order of the documentation. A test
// holds it against the types that exist.
func Events() []Event {
	return []Event{
		ConferenceStarted{},
		ConferenceEnded{},
		ConferenceMoved{},
		ConferenceLocked{},
		ConferenceUnlocked{},
		ConferenceLayout{},
		SpeakerChanged{},
		ParticipantJoined{},
		ParticipantConnected{},
		ParticipantWaiting{},
		ParticipantEntered{},
		ParticipantLeft{},
		ParticipantMuted{},
		ParticipantUnmuted{},
		ParticipantHeld{},
		ParticipantResumed{},
		ParticipantRenamed{},
		ParticipantRole{},
		ParticipantSpotlit{},
		ParticipantRaised{},
		ParticipantLowered{},
		ParticipantPressed{},
		PresentationStarted{},
		PresentationStopped{},
		MessageSent{},
		TestCallFinished{},
		NodeStarted{},
		NodeStopped{},
		NodeLost{},
	}
}

// kinds finds the type of an event by its kind.
var kinds = func() map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for _, e := range Events() {
		m[KindOf(e)] = reflect.TypeOf(e)
	}
	return m
}()

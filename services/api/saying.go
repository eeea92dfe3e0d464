package api

import "bytes"

// A saying is what event streams tell of a view, encoded once for all of them.
// Immutable. What has not changed since the view before is the same bytes in
// memory, so that comparing it costs next to nothing.
type saying struct {
	participants []entry
	index        map[string]int // id to place in participants
	conference   []byte
	layout       []byte
	stage        []byte
	presenter    []byte // nil while nobody presents
	presents     string // id of that participant
}

// entry is one participant of a saying.
type entry struct {
	id, role string
	waits    bool
	data     []byte
}

// says returns what v says. Several streams may ask at the same time; the first
// one does the work.
func (v *view) says() *saying {
	v.once.Do(func() { v.said = v.room.say(v) })
	return v.said
}

// say encodes v, keeping what is as it was when this was last done.
func (m *room) say(v *view) *saying {
	m.saying.Lock()
	defer m.saying.Unlock()
	was := m.said
	if was == nil {
		was = &saying{}
	}
	s := &saying{
		participants: make([]entry, 0, len(v.Participants)),
		index:        make(map[string]int, len(v.Participants)),
	}
	for i, p := range v.Participants {
		e := entry{id: p.Id, role: p.Role, waits: p.Waiting != "", data: encode(v.participant(p))}
		if old := was.find(i, p.Id); old != nil && bytes.Equal(old.data, e.data) {
			e.data = old.data
		}
		s.index[p.Id] = len(s.participants)
		s.participants = append(s.participants, e)
	}
	keep := func(old []byte, data any) []byte {
		if b := encode(data); !bytes.Equal(old, b) {
			return b
		}
		return old
	}
	stage := v.stageOrder()
	s.conference = keep(was.conference, v.conference())
	s.layout = keep(was.layout, v.layout(stage))
	s.stage = keep(was.stage, stage)
	if p := v.presenter(); p != nil {
		s.presenter, s.presents = keep(was.presenter, p), p.UUID
	}
	m.said = s
	return s
}

// only returns what somebody is told who waits outside: of itself, and of the
// conference as a whole.
func (s *saying) only(id string) *saying {
	alone := &saying{index: map[string]int{}, conference: s.conference}
	if e := s.find(0, id); e != nil {
		alone.participants, alone.index[id] = []entry{*e}, 0
	}
	return alone
}

// find returns the entry of a participant, nil if there is none. It is probably
// at place i.
func (s *saying) find(i int, id string) *entry {
	if i < len(s.participants) && s.participants[i].id == id {
		return &s.participants[i]
	}
	if i, ok := s.index[id]; ok {
		return &s.participants[i]
	}
	return nil
}

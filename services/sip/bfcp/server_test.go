package bfcp_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// numbered gives a message another transaction.
func numbered(transaction uint16, m bfcp.Message) bfcp.Message {
	m.Transaction = transaction
	return m
}

// brief prints messages: primitive, transaction, R, and what matters in them.
func brief(messages []*bfcp.Message) string {
	var s string
	for i, m := range messages {
		if i > 0 {
			s += "; "
		}
		s += m.Primitive.String()
		if m.Response {
			s += fmt.Sprintf(" to %d", m.Transaction)
		}
		if e := m.Get(bfcp.ErrorCode); e != nil {
			s += fmt.Sprintf(": %v", e.Code())
		}
		for j := range m.Attributes {
			if a := &m.Attributes[j]; a.Type == bfcp.FloorRequestInformation {
				status, _ := a.Get(bfcp.OverallRequestStatus).Get(bfcp.RequestStatus).Status()
				s += fmt.Sprintf(": %d of %d %v", a.Number(), a.Get(bfcp.BeneficiaryInformation).Number(), status)
			}
		}
	}
	return s
}

var (
	floor     = bfcp.Number(bfcp.FloorID, 1)
	wrong     = bfcp.Number(bfcp.FloorID, 2)
	requestID = func(n uint16) bfcp.Attribute { return bfcp.Number(bfcp.FloorRequestID, n) }
)

// What a server with one pending request, number 1, answers.
func TestServerAnswers(t *testing.T) {
	tests := []struct {
		name    string
		message bfcp.Message
		want    string
	}{
		{"Hello", message(bfcp.Hello), "HelloAck to 7"},
		{"unknown primitive", message(99), "Error to 7: unknown primitive"},
		{"unknown mandatory attribute", message(bfcp.Hello, bfcp.Attribute{Type: 30, Mandatory: true}), "Error to 7: unknown mandatory attribute"},
		{"unknown attribute", message(bfcp.Hello, bfcp.Attribute{Type: 30}), "HelloAck to 7"},
		{"conference", bfcp.Message{Version: 2, Primitive: bfcp.Hello, Conference: 5, User: 9, Transaction: 7}, "Error to 7: conference does not exist"},
		{"user", bfcp.Message{Version: 2, Primitive: bfcp.Hello, Conference: id.Conference, User: 5, Transaction: 7}, "Error to 7: user does not exist"},
		{"version 1", bfcp.Message{Version: 1, Primitive: bfcp.Hello, Conference: id.Conference, User: 9, Transaction: 7}, "Error to 7: unsupported version"},
		{"request without floor", message(bfcp.FloorRequest), "Error to 7: unable to parse message"},
		{"request for another floor", message(bfcp.FloorRequest, wrong), "Error to 7: invalid floor"},
		{"request for one more floor", message(bfcp.FloorRequest, floor, wrong), "Error to 7: invalid floor"},
		{"request for somebody else", message(bfcp.FloorRequest, floor, bfcp.Number(bfcp.BeneficiaryID, 10)), "Error to 7: unauthorized operation"},
		{"release without request", message(bfcp.FloorRelease), "Error to 7: unable to parse message"},
		{"release of another request", message(bfcp.FloorRelease, requestID(2)), "Error to 7: floor request does not exist"},
		{"release", message(bfcp.FloorRelease, requestID(1)), "FloorRequestStatus to 7: 1 of 9 cancelled"},
		{"query of a request", message(bfcp.FloorRequestQuery, requestID(1)), "FloorRequestStatus to 7: 1 of 9 pending"},
		{"query of another request", message(bfcp.FloorRequestQuery, requestID(2)), "Error to 7: floor request does not exist"},
		{"query of no request", message(bfcp.FloorRequestQuery), "Error to 7: unable to parse message"},
		{"query of the user", message(bfcp.UserQuery), "UserStatus to 7: 1 of 9 pending"},
		{"query of another user", message(bfcp.UserQuery, bfcp.Number(bfcp.BeneficiaryID, 10)), "Error to 7: user does not exist"},
		{"query of the floor", message(bfcp.FloorQuery, floor), "FloorStatus to 7: 1 of 9 pending"},
		{"query of another floor", message(bfcp.FloorQuery, wrong), "Error to 7: invalid floor"},
		{"query of no floor", message(bfcp.FloorQuery), "FloorStatus to 7"},
		{"chair", message(bfcp.ChairAction), "Error to 7: unauthorized operation"},
		{"goodbye", message(bfcp.Goodbye), "GoodbyeAck to 7"},
		{"news", message(bfcp.FloorStatus), "Error to 7: unknown primitive"},
		{"an answer to nothing", response(message(bfcp.FloorStatusAck)), ""},
		{"a request that says it is an answer", response(message(bfcp.Hello)), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, _ *side) {
				p.exchange(numbered(1, message(bfcp.FloorRequest, floor)))
				time.Sleep(time.Second)
				if got := brief(p.received()); got != "FloorRequestStatus to 1: 1 of 9 pending" {
					t.Fatalf("got %q", got)
				}
				if got := brief(p.exchange(tt.message)); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestServerRefusesWhatIsMalformed(t *testing.T) {
	for wire, want := range map[string]string{
		"40 0b 0001 01020304 0007 0009":                    "Error to 7: incorrect message length",
		"60 0b 0000 01020304 0007 0009":                    "Error to 7: unsupported version",
		"40 07 0001 01020304 0007 0009 05 03 0100":         "Error to 7: unable to parse message",
		"50 0c 0001 01020304 0007 0009 17 01 0000":         "", // an answer
		"48 0b 0001 01020304 0007 0009 0001 0001 05040001": "Error to 7: incorrect message length",
		"0011 0000 2112a442 000102030405060708090a0b":      "", // a STUN binding indication
		"40 0b": "",
		"":      "",
	} {
		t.Run(wire, func(t *testing.T) {
			dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, _ *side) {
				if got := brief(p.raw(octets(t, wire))); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

// "If a floor control server receives data that cannot be parsed" (RFC 8855
// section 6.2): no other says that.
func TestClientDropsWhatIsMalformed(t *testing.T) {
	for _, wire := range []string{
		"40 08 0001 01020304 0007 0009",
		"60 08 0000 01020304 0007 0009",
		"40 08 0001 01020304 0007 0009 05 03 0100",
		"40 01 0001 01020304 0007 0009 05 04 0001", // a request
	} {
		t.Run(wire, func(t *testing.T) {
			dialled(t, sdp.FloorClient, func(t *testing.T, p *phone, _ *side) {
				p.received() // its Hello
				if got := brief(p.raw(octets(t, wire))); got != "" {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

// "A FloorQuery without FLOOR-ID": the client does not want to be told any
// more (RFC 8855 section 13.5).
func TestServerTells(t *testing.T) {
	dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, s *side) {
		p.exchange(message(bfcp.Hello))
		s.SetPresenter(&bfcp.Presenter{Name: "Alice"})
		synctest.Wait()
		got := p.received()
		if text := brief(got); text != "FloorStatus: 1 of 10 granted" {
			t.Fatalf("got %q", text)
		}
		if text := brief(p.exchange(response(numbered(got[0].Transaction, message(bfcp.FloorStatusAck))))); text != "" {
			t.Errorf("to its acknowledgement: %q", text)
		}
		time.Sleep(time.Minute)
		if text := brief(p.received()); text != "" {
			t.Errorf("acknowledged, and again: %q", text)
		}
		p.exchange(numbered(8, message(bfcp.FloorQuery)))
		s.SetPresenter(nil)
		synctest.Wait()
		if text := brief(p.received()); text != "" {
			t.Errorf("told although it did not want to: %q", text)
		}
		if text := brief(p.exchange(numbered(9, message(bfcp.FloorQuery, floor)))); text != "FloorStatus to 9" {
			t.Errorf("got %q", text)
		}
	})
}

// What changes while the peer has not acknowledged is told once, as it is
// then.
func TestServerTellsTheLatest(t *testing.T) {
	dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, s *side) {
		p.exchange(message(bfcp.Hello))
		for user := uint16(21); user < 25; user++ {
			s.SetPresenter(&bfcp.Presenter{User: user})
		}
		synctest.Wait()
		if text := brief(p.settle(p.received())); text != "FloorStatus: 1 of 21 granted; FloorStatus: 4 of 24 granted" {
			t.Errorf("got %q", text)
		}
	})
}

// A peer that has forgotten its request makes another.
func TestServerReplacesRequest(t *testing.T) {
	dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, s *side) {
		s.happen = func(event any) {
			if r, ok := event.(bfcp.Requested); ok && r.ID == 1 {
				s.Grant(1)
			}
		}
		got := p.settle(p.exchange(message(bfcp.FloorRequest, floor)))
		if text := brief(got); text != "FloorRequestStatus to 7: 1 of 9 granted; FloorStatus: 1 of 9 granted" {
			t.Errorf("got %q", text)
		}
		got = p.settle(p.exchange(numbered(8, message(bfcp.FloorRequest, floor, bfcp.Number(bfcp.Priority, 7<<13)))))
		if text := brief(got); text != "FloorRequestStatus: 1 of 9 released; FloorStatus" {
			t.Errorf("got %q", text)
		}
		s.expect(t, bfcp.Ready{}, bfcp.Requested{ID: 1, Priority: 2}, bfcp.Withdrawn{ID: 1}, bfcp.Requested{ID: 2, Priority: 4})
		s.Grant(2)
		synctest.Wait()
		got = p.settle(p.received())
		if text := brief(got); text != "FloorRequestStatus to 8: 2 of 9 granted; FloorStatus: 2 of 9 granted" {
			t.Errorf("got %q", text)
		}
	})
}

// A repeated request is not done again: its answer is (RFC 8855 section
// 8.3.2), until T2.
func TestServerRepeatsAnswer(t *testing.T) {
	dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, s *side) {
		ask := message(bfcp.FloorRequest, floor)
		if got := p.exchange(ask); len(got) != 0 {
			t.Errorf("before it is decided: %q", brief(got))
		}
		if got := p.exchange(ask); len(got) != 0 {
			t.Errorf("repeated, before it is decided: %q", brief(got))
		}
		s.Grant(1)
		synctest.Wait()
		first := p.received()
		time.Sleep(5 * time.Second)
		p.received() // FloorStatus, repeated
		again := p.exchange(ask)
		if brief(first[:1]) != "FloorRequestStatus to 7: 1 of 9 granted" || brief(again) != brief(first[:1]) {
			t.Errorf("got %q, then %q", brief(first), brief(again))
		}
		s.expect(t, bfcp.Ready{}, bfcp.Requested{ID: 1, Priority: 2})
		time.Sleep(20 * time.Second)
		p.received()
		p.exchange(ask)
		s.mu.Lock()
		defer s.mu.Unlock()
		if !slices.Contains(s.events, any(bfcp.Requested{ID: 2, Priority: 2})) {
			t.Errorf("events %+v: the transaction was not forgotten", s.events)
		}
	})
}

func TestHelloAck(t *testing.T) {
	dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, _ *side) {
		got := p.exchange(message(bfcp.Hello))[0]
		if v := got.Get(bfcp.SupportedPrimitives).Value; !bytes.Equal(v, []byte{1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17}) {
			t.Errorf("primitives %v", v)
		}
		if v := got.Get(bfcp.SupportedAttributes).Value; len(v) != 18 || v[0] != 1<<1 || v[17] != 18<<1 {
			t.Errorf("attributes %v", v)
		}
	})
}

// What is too long for a datagram comes in fragments.
func TestServerReassembles(t *testing.T) {
	dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, s *side) {
		m := message(bfcp.FloorRequest, floor, bfcp.Text(bfcp.ParticipantProvidedInfo, "a talk"))
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range bfcp.Fragment(b, 20) {
			if got := p.raw(part); len(got) != 0 {
				t.Errorf("got %q", brief(got))
			}
		}
		s.expect(t, bfcp.Ready{}, bfcp.Requested{ID: 1, Priority: 2, Info: "a talk"})
	})
}

// A peer that asks all the time is refused without a decision, and keeps what
// it has; a while later it may ask again.
func TestServerLimitsRequests(t *testing.T) {
	dialled(t, sdp.FloorServer, func(t *testing.T, p *phone, s *side) {
		granted := 0
		s.happen = func(event any) {
			if r, ok := event.(bfcp.Requested); ok {
				granted++
				s.Grant(r.ID)
			}
		}
		for n := range uint16(100) {
			p.exchange(numbered(1000+n, message(bfcp.FloorRequest, floor)))
		}
		if granted != 10 {
			t.Errorf("%d requests of 100 at once were taken, want 10", granted)
		}
		if got := brief(p.exchange(numbered(2000, message(bfcp.FloorRequest, floor)))); got != "FloorRequestStatus to 2000: 101 of 9 denied" {
			t.Errorf("got %q", got)
		}
		if got := brief(p.exchange(numbered(2001, message(bfcp.UserQuery)))); got != "UserStatus to 2001: 10 of 9 granted" {
			t.Errorf("got %q", got)
		}
		time.Sleep(time.Minute)
		p.received()
		if got := brief(p.exchange(numbered(2002, message(bfcp.FloorRequest, floor)))); !strings.Contains(got, "to 2002: 102 of 9 granted") {
			t.Errorf("got %q a minute later", got)
		}
	})
}

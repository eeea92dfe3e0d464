package bfcp_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// status is a FLOOR-REQUEST-INFORMATION of request 4.
func status(s bfcp.Status, place uint8) bfcp.Attribute {
	return bfcp.Group(bfcp.FloorRequestInformation, 4, bfcp.Group(bfcp.OverallRequestStatus, 4, bfcp.StatusOf(s, place)))
}

// asked runs f with a client whose FloorRequest is on its way.
func asked(t *testing.T, f func(t *testing.T, p *phone, c *side, ask *bfcp.Message)) {
	t.Helper()
	dialled(t, sdp.FloorClient, func(t *testing.T, p *phone, c *side) {
		hello := p.received()
		if brief(hello) != "Hello" {
			t.Fatalf("got %q", brief(hello))
		}
		query := p.exchange(response(numbered(hello[0].Transaction, message(bfcp.HelloAck))))
		if brief(query) != "FloorQuery" {
			t.Fatalf("got %q", brief(query))
		}
		if got := p.exchange(response(numbered(query[0].Transaction, message(bfcp.FloorStatus, floor)))); len(got) != 0 {
			t.Fatalf("got %q", brief(got))
		}
		c.Request("")
		synctest.Wait()
		ask := p.received()
		if brief(ask) != "FloorRequest" {
			t.Fatalf("got %q", brief(ask))
		}
		c.expect(t, bfcp.Ready{})
		f(t, p, c, ask[0])
	})
}

// What servers answer to a request, and what the owner is told.
func TestClientIsAnswered(t *testing.T) {
	tests := []struct {
		name   string
		answer bfcp.Message
		want   any
	}{
		{"granted", message(bfcp.FloorRequestStatus, status(bfcp.Granted, 0)), bfcp.Decided{Status: bfcp.Granted}},
		{"queued", message(bfcp.FloorRequestStatus, status(bfcp.Pending, 3)), bfcp.Decided{Status: bfcp.Pending, Place: 3}},
		{
			"denied", message(bfcp.FloorRequestStatus, status(bfcp.Denied, 0)), bfcp.Decided{Status: bfcp.Denied},
		},
		{
			"status of the floor only", message(bfcp.FloorRequestStatus, bfcp.Group(bfcp.FloorRequestInformation, 4,
				bfcp.Group(bfcp.FloorRequestStatusInfo, 2, bfcp.StatusOf(bfcp.Denied, 0)),
				bfcp.Group(bfcp.FloorRequestStatusInfo, 1, bfcp.StatusOf(bfcp.Granted, 0)))),
			bfcp.Decided{Status: bfcp.Granted},
		},
		{
			"an error", message(bfcp.Error, bfcp.Failure(bfcp.TooManyRequests), bfcp.Text(bfcp.ErrorInfo, "one is enough")),
			bfcp.Decided{Status: bfcp.Denied, Info: "bfcp: FloorRequest: too many floor requests: one is enough"},
		},
		{
			"no request named", message(bfcp.FloorRequestStatus),
			bfcp.Decided{Status: bfcp.Denied, Info: "the answer names no request"},
		},
		{"something else", message(bfcp.HelloAck), bfcp.Decided{Status: bfcp.Denied, Info: "the answer names no request"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked(t, func(t *testing.T, p *phone, c *side, ask *bfcp.Message) {
				if got := p.exchange(response(numbered(ask.Transaction+1, tt.answer))); len(got) != 0 {
					t.Errorf("to an answer to nothing: %q", brief(got))
				}
				c.expect(t)
				if got := p.exchange(response(numbered(ask.Transaction, tt.answer))); len(got) != 0 {
					t.Errorf("to the answer: %q", brief(got))
				}
				c.expect(t, tt.want)
			})
		})
	}
}

// Everything that a server says by itself is acknowledged, also what is
// about others.
func TestClientAcknowledges(t *testing.T) {
	asked(t, func(t *testing.T, p *phone, c *side, ask *bfcp.Message) {
		p.exchange(response(numbered(ask.Transaction, message(bfcp.FloorRequestStatus, status(bfcp.Granted, 0)))))
		c.expect(t, bfcp.Decided{Status: bfcp.Granted})
		other := bfcp.Group(bfcp.FloorRequestInformation, 5, bfcp.Group(bfcp.OverallRequestStatus, 5, bfcp.StatusOf(bfcp.Granted, 0)),
			bfcp.Group(bfcp.BeneficiaryInformation, 33, bfcp.Text(bfcp.UserDisplayName, "Bob")))
		steps := []struct {
			message bfcp.Message
			ack     string
			want    []any
		}{
			{numbered(100, message(bfcp.FloorStatus, floor, status(bfcp.Granted, 0))), "FloorStatusAck to 100", []any{bfcp.Presenter{Mine: true}}},
			{numbered(100, message(bfcp.FloorStatus, floor, status(bfcp.Granted, 0))), "FloorStatusAck to 100", nil},
			{numbered(101, message(bfcp.FloorRequestStatus, other)), "FloorRequestStatusAck to 101", nil},
			{numbered(102, message(bfcp.FloorStatus, wrong, other)), "FloorStatusAck to 102", nil},
			{
				numbered(103, message(bfcp.FloorRequestStatus, status(bfcp.Revoked, 0))), "FloorRequestStatusAck to 103",
				[]any{bfcp.Decided{Status: bfcp.Revoked}},
			},
			{numbered(104, message(bfcp.FloorStatus, floor, other)), "FloorStatusAck to 104", []any{bfcp.Presenter{User: 33, Name: "Bob"}}},
			{numbered(105, message(bfcp.FloorStatus, floor)), "FloorStatusAck to 105", []any{bfcp.Presenter{}}},
			{numbered(106, message(bfcp.FloorRequest, floor)), "", nil}, // no server says Error to that
			{numbered(107, message(bfcp.Hello)), "", nil},
		}
		for _, s := range steps {
			if got := brief(p.exchange(s.message)); got != s.ack {
				t.Errorf("got %q, want %q", got, s.ack)
			}
			c.expect(t, s.want...)
		}
	})
}

// Both sides number what they begin: news may have the number of a request.
func TestClientTellsNewsFromAnswer(t *testing.T) {
	asked(t, func(t *testing.T, p *phone, c *side, ask *bfcp.Message) {
		other := bfcp.Group(bfcp.FloorRequestInformation, 5, bfcp.Group(bfcp.OverallRequestStatus, 5, bfcp.StatusOf(bfcp.Granted, 0)))
		got := brief(p.exchange(numbered(ask.Transaction, message(bfcp.FloorRequestStatus, other))))
		if !strings.HasPrefix(got, "FloorRequestStatusAck to ") {
			t.Errorf("got %q", got)
		}
		c.expect(t)
		p.exchange(response(numbered(ask.Transaction, message(bfcp.FloorRequestStatus, status(bfcp.Granted, 0)))))
		c.expect(t, bfcp.Decided{Status: bfcp.Granted})
	})
}

// A server that does not answer to a release has lost the floor all the same.
func TestClientReleasesAnyhow(t *testing.T) {
	asked(t, func(t *testing.T, p *phone, c *side, ask *bfcp.Message) {
		p.exchange(response(numbered(ask.Transaction, message(bfcp.FloorRequestStatus, status(bfcp.Granted, 0)))))
		c.expect(t, bfcp.Decided{Status: bfcp.Granted})
		c.Release()
		time.Sleep(10 * time.Second)
		if got := brief(p.received()); got != "FloorRelease; FloorRelease; FloorRelease; FloorRelease" {
			t.Errorf("got %q", got)
		}
		c.expect(t, bfcp.Decided{Status: bfcp.Released}, bfcp.Lost{Err: errAs(t, "bfcp: no answer to FloorRelease")})
	})
}

// A server that changes all the time who presents is heard now and then, and its
// last word at the end.
func TestClientIsFlooded(t *testing.T) {
	asked(t, func(t *testing.T, p *phone, c *side, ask *bfcp.Message) {
		p.exchange(response(numbered(ask.Transaction, message(bfcp.FloorRequestStatus, status(bfcp.Denied, 0)))))
		c.expect(t, bfcp.Decided{Status: bfcp.Denied})
		other := bfcp.Group(bfcp.FloorRequestInformation, 5, bfcp.Group(bfcp.OverallRequestStatus, 5, bfcp.StatusOf(bfcp.Granted, 0)),
			bfcp.Group(bfcp.BeneficiaryInformation, 33, bfcp.Text(bfcp.UserDisplayName, "Bob")))
		said := func(n uint16, m bfcp.Message) {
			t.Helper()
			if got, want := brief(p.exchange(numbered(n, m))), fmt.Sprintf("FloorStatusAck to %d", n); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		for n := uint16(100); n < 500; n += 2 {
			said(n, message(bfcp.FloorStatus, floor, other))
			said(n+1, message(bfcp.FloorStatus, floor))
		}
		said(500, message(bfcp.FloorStatus, floor, other))
		var want []any
		for range 5 {
			want = append(want, bfcp.Presenter{User: 33, Name: "Bob"}, bfcp.Presenter{})
		}
		c.expect(t, want...)
		time.Sleep(2 * time.Second)
		c.expect(t, bfcp.Presenter{User: 33, Name: "Bob"})
		time.Sleep(time.Minute)
		c.expect(t)
	})
}

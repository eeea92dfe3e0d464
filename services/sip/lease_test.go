package sip_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/services/sip"
)

// A journal is a log that tests can read.
type journal struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), what)
}

// newSmallHouse is a node with room for so many HD calls.
func newSmallHouse(t *testing.T, hd float64) (*house, *journal) {
	t.Helper()
	log := &journal{}
	h := newHouse(t, func(_ *sip.Config, d *sip.Deps) { d.Log = slog.New(slog.NewTextHandler(log, nil)) })
	h.sys.Root.Send(h.node, &node.SetCapacity{Capacity: node.TypicalCapacity(hd)})
	return h, log
}

// leased waits until so much is leased, in HD calls: video of a call that
// nobody shares a picture with is one, sound a fortieth.
func (h *house) leased(want float64) {
	h.Helper()
	var got float64
	settled(h.T, "leased as it should be", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		st, err := actors.Ask[*node.Status](ctx, h.sys, h.node, &node.GetStatus{})
		if err != nil {
			h.Fatal(err)
		}
		got = st.Leased.HD()
		return got == want
	})
}

// refused is how often the node had no room.
func (h *house) refused() float64 {
	h.Helper()
	return h.counter("skybridge_node_admissions_total", "capacity")
}

// mLine is the m-line of a kind, without what follows the port.
func mLine(body, kind string) string {
	for l := range strings.SplitSeq(body, "\r\n") {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "m="+kind {
			return f[0] + " " + f[1]
		}
	}
	return ""
}

const refusedVideo = "m=video 0"

const voice, picture = 0.025, 1

// TestVideoBeyondCapacity: video that is added to a call where there is no room
// is refused with port zero (RFC 3264 section 6), the call goes on with sound,
// and a later offer gets it.
func TestVideoBeyondCapacity(t *testing.T) {
	for _, method := range []string{"INVITE", "UPDATE"} {
		t.Run(method, func(t *testing.T) {
			h, log := newSmallHouse(t, 1.2)
			change := func(c *dialog, body string) message {
				t.Helper()
				m := c.do(method, 200, offer(body))
				if method == "INVITE" {
					c.ack(m, "")
				}
				return m
			}
			u := dialUA(t, "UDP", h.Server.Addrs().SIP)
			ann, bob := u.call("one"), u.call("two")
			h.leased(2 * voice)

			if m := change(ann, version(2, videoOffer)); mLine(m.body, "video") == refusedVideo {
				t.Errorf("there is room for one:\n%s", m.body)
			}
			h.leased(voice + picture)

			before := mLine(bob.answer.body, "audio")
			for range 2 { // the same offer again finds no room either
				m := change(bob, version(2, videoOffer))
				if mLine(m.body, "video") != refusedVideo || mLine(m.body, "audio") != before {
					t.Errorf("want no video, and audio as it was:\n%s", m.body)
				}
				h.leased(voice + picture)
			}
			if refused, logged := h.refused(), log.count("video refused"); refused != 2 || logged != 2 {
				t.Errorf("%v refusals counted, %d logged; want 2", refused, logged)
			}
			if p := h.roster("two"); len(p) != 1 || !p[0].GetAudio() || p[0].GetVideo() {
				t.Errorf("in the room: %v, want one with sound", p)
			}

			// What ann gives back bob gets, with the very offer that was refused.
			if m := change(ann, version(3, audioOffer+"m=video 0 RTP/AVP 96\r\n")); mLine(m.body, "video") != refusedVideo {
				t.Errorf("video was not removed:\n%s", m.body)
			}
			h.leased(2 * voice)
			if m := change(bob, version(2, videoOffer)); mLine(m.body, "video") == refusedVideo || mLine(m.body, "audio") != before {
				t.Errorf("there is room now:\n%s", m.body)
			}
			h.leased(voice + picture)
			change(bob, version(2, videoOffer)) // a refresh
			change(bob, strings.ReplaceAll(version(3, videoOffer), "a=sendrecv", "a=inactive"))
			h.leased(voice + picture) // on hold it keeps its place
			if m := change(ann, version(4, videoOffer)); mLine(m.body, "video") != refusedVideo {
				t.Errorf("the place is bob's:\n%s", m.body)
			}

			bob.bye()
			h.leased(voice)
			change(ann, version(5, videoOffer))
			h.leased(picture)
			ann.bye()
			h.leased(0)
			settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
		})
	}
}

// TestNothingButVideoBeyondCapacity: there is nothing to go on with, so that the
// change is refused as a whole, and the call stays what it was.
func TestNothingButVideoBeyondCapacity(t *testing.T) {
	h, _ := newSmallHouse(t, 0.5)
	c := dialUA(t, "UDP", h.Server.Addrs().SIP).call("room")
	body := strings.Replace(version(2, videoOffer), "m=audio 40000", "m=audio 0", 1)
	m := c.request("UPDATE").sdp(body)
	c.write(m.String())
	if refused := c.final(m, 503); refused.header("Retry-After") == "" {
		t.Errorf("refused without Retry-After: %+v", refused)
	}
	h.leased(voice)
	c.reinvite(offer(version(3, audioOffer)))
	c.bye()
	h.leased(0)
}

// TestOfferInOurAnswerBeyondCapacity: what we offer when we are asked to has no
// more in it than there is room for. What the answer does not take is free again.
func TestOfferInOurAnswerBeyondCapacity(t *testing.T) {
	h, _ := newSmallHouse(t, 1.2)
	u := dialUA(t, "UDP", h.Server.Addrs().SIP)
	ann, bob := u.call("one"), u.call("two")
	first := ann.do("INVITE", 200)
	if l := mLine(first.body, "video"); l == "" || l == refusedVideo {
		t.Errorf("no video is offered:\n%s", first.body)
	}
	h.leased(voice + picture) // the answer may take it
	second := bob.do("INVITE", 200)
	if l := mLine(second.body, "video"); l != "" && l != refusedVideo {
		t.Errorf("video is offered, and there is no room:\n%s", second.body)
	}
	bob.ack(second, version(2, audioOffer))
	ann.ack(first, version(2, audioOffer)+"m=video 0 RTP/AVP 96\r\n")
	h.leased(2 * voice)

	second = bob.do("INVITE", 200)
	bob.ack(second, version(3, videoOffer))
	h.leased(voice + picture)
	ann.bye()
	bob.bye()
	h.leased(0)
}

// TestSilentCallKeepsItsPlace: who switches all off may come back with sound,
// however full it is by then.
func TestSilentCallKeepsItsPlace(t *testing.T) {
	h, _ := newSmallHouse(t, 1)
	u := dialUA(t, "UDP", h.Server.Addrs().SIP)
	c := u.call("one", offer(videoOffer))
	h.leased(picture)
	off := strings.NewReplacer("m=audio 40000", "m=audio 0", "m=video 40002", "m=video 0")
	c.reinvite(offer(off.Replace(version(2, videoOffer))))
	h.leased(voice)
	for i := range 39 {
		u.call(fmt.Sprint("other", i)) // where many share a mix they take less
	}
	h.leased(1)
	c.reinvite(offer(version(3, audioOffer) + "m=video 0 RTP/AVP 96\r\n"))
	h.leased(1)
	c.bye()
	h.leased(1 - voice)
}

// TestNodeDoesNotAnswer: no word is no room. Should it come late, it is not kept.
func TestNodeDoesNotAnswer(t *testing.T) {
	b := newBench(t)
	b.Node.silent = true
	c := newUA(b, "TCP").call("room")
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	if m := c.reinvite(offer(version(2, videoOffer))); mLine(m.body, "video") != refusedVideo {
		t.Errorf("video was promised:\n%s", m.body)
	}
	c.bye()
	next[*participant.Ended](t, p) // and was told of no video before
	b.Node.mu.Lock()
	defer b.Node.mu.Unlock()
	want := []node.Reserve{{Call: p.Call, Audio: true, Video: true}, {Call: p.Call, Audio: true}}
	if !slices.Equal(b.Node.leased, want) {
		t.Errorf("the node was asked for %+v, want %+v", b.Node.leased, want)
	}
}

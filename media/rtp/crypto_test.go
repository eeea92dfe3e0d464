package rtp_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/media/rtp"
)

var suites = []rtp.Suite{rtp.AES128CM80, rtp.AES128CM32, rtp.AES256CM80, rtp.AES256CM32, rtp.AES128GCM, rtp.AES256GCM}

// keying returns what the two ends of a stream have.
func keying(suite rtp.Suite) (a, b *rtp.Crypto) {
	x, y := suite.NewKey(), suite.NewKey()
	return &rtp.Crypto{Suite: suite, Send: x, Recv: []rtp.Key{y}}, &rtp.Crypto{Suite: suite, Send: y, Recv: []rtp.Key{x}}
}

func TestSuites(t *testing.T) {
	for _, suite := range suites {
		t.Run(string(suite), func(t *testing.T) {
			a, b := listen(t, 1, nil), listen(t, 2, nil)
			ka, kb := keying(suite)
			connect(t, a, b, ka, kb)
			for i := range uint16(5) {
				must(t, a.WriteRTP(header(i), []byte{1, 2, 3, byte(i)}))
				if p := b.next(t); p.SequenceNumber != i || !slices.Equal(p.Payload, []byte{1, 2, 3, byte(i)}) {
					t.Errorf("packet %d: %v", i, p)
				}
				must(t, b.WriteRTP(header(i), []byte{9, byte(i)}))
				if p := a.next(t); !slices.Equal(p.Payload, []byte{9, byte(i)}) {
					t.Errorf("packet %d back: %v", i, p)
				}
			}
			must(t, a.WriteRTCP(report))
			if got := b.nextControl(t); len(got) != 3 {
				t.Errorf("RTCP: %v", got)
			}
			if s := b.Stats(); s.AuthFailures != 0 || s.Malformed != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestMKI(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	const suite = rtp.AES128CM80
	one, two, back := suite.NewKey(), suite.NewKey(), suite.NewKey()
	one.MKI, two.MKI = []byte{0, 1}, []byte{0, 2}
	for i, key := range []rtp.Key{two, one} {
		connect(t, a, b,
			&rtp.Crypto{Suite: suite, Send: key, Recv: []rtp.Key{back}},
			&rtp.Crypto{Suite: suite, Send: back, Recv: []rtp.Key{one, two}})
		must(t, a.WriteRTP(header(uint16(i)), []byte{5}))
		if p := b.next(t); !slices.Equal(p.Payload, []byte{5}) {
			t.Errorf("got %v", p)
		}
	}
}

// A packet that SRTP refuses teaches nothing about where the peer is.
func TestForgedPacketsTeachNothing(t *testing.T) {
	a, b, stranger := listen(t, 1, nil), listen(t, 2, nil), listen(t, 3, nil)
	ka, kb := keying(rtp.AES128CM80)
	connect(t, a, b, ka, kb)
	wrong, _ := keying(rtp.AES128CM80)
	must(t, stranger.SetRemote(rtp.Remote{RTP: b.addr(2), RTCP: b.controlAddr(2), Crypto: wrong}))
	for i := range uint16(10) {
		must(t, stranger.WriteRTP(header(i), []byte{6, 6, 6}))
		must(t, stranger.WriteRTCP(report))
	}
	b.until(t, "refused", func(s rtp.Stats) bool { return s.AuthFailures == 20 })
	if s := b.Stats(); s.Learned || s.Remote != a.addr(1) {
		t.Errorf("%+v", s)
	}
	// And plain RTP does not pass where encryption was agreed on.
	must(t, stranger.SetRemote(rtp.Remote{RTP: b.addr(2)}))
	must(t, stranger.WriteRTP(header(11), make([]byte, 100)))
	b.until(t, "refused", func(s rtp.Stats) bool { return s.AuthFailures == 21 })
	must(t, a.WriteRTP(header(1), []byte{1}))
	if p := b.next(t); !slices.Equal(p.Payload, []byte{1}) {
		t.Errorf("got %v", p)
	}
}

// A repeated offer with the same keys must not start the rollover counter
// again: the key stream would repeat, and the peer would not understand us.
func TestSameKeyGoesOn(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	ka, kb := keying(rtp.AES128CM80)
	connect(t, a, b, ka, kb)
	seq := uint16(65530)
	exchange := func(n int) {
		t.Helper()
		for range n {
			must(t, a.WriteRTP(header(seq), []byte{1}))
			if p := b.next(t); p.SequenceNumber != seq {
				t.Fatalf("got %v, want sequence %d", p, seq)
			}
			seq++
		}
	}
	exchange(20) // the counter is 1 now
	must(t, a.SetRemote(rtp.Remote{RTP: b.addr(2), RTCP: b.controlAddr(2), Types: []uint8{96}, Crypto: ka}))
	exchange(5)
	connect(t, a, b, ka, kb)
	exchange(5)
}

// A new key starts at rollover counter zero (RFC 4568 section 7.1.4). Only the
// direction whose key is new starts over.
func TestNewKeyStartsOver(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	ka, kb := keying(rtp.AES128GCM)
	connect(t, a, b, ka, kb)
	for seq := uint16(65530); seq != 10; seq++ {
		must(t, a.WriteRTP(header(seq), []byte{1}))
		b.next(t)
		must(t, b.WriteRTP(header(seq), []byte{1}))
		a.next(t)
	}
	k := rtp.AES128GCM.NewKey()
	connect(t, a, b,
		&rtp.Crypto{Suite: rtp.AES128GCM, Send: k, Recv: ka.Recv},
		&rtp.Crypto{Suite: rtp.AES128GCM, Send: kb.Send, Recv: []rtp.Key{k}})
	must(t, a.WriteRTP(header(10), []byte{2}))
	if p := b.next(t); !slices.Equal(p.Payload, []byte{2}) {
		t.Errorf("new key: %v", p)
	}
	must(t, b.WriteRTP(header(10), []byte{3}))
	if p := a.next(t); !slices.Equal(p.Payload, []byte{3}) {
		t.Errorf("old key: %v", p)
	}
	// From plain to encrypted and back, as an endpoint that is transferred.
	connect(t, a, b, nil, nil)
	must(t, a.WriteRTP(header(11), []byte{4}))
	if p := b.next(t); !slices.Equal(p.Payload, []byte{4}) {
		t.Errorf("plain: %v", p)
	}
}

func TestBadKeys(t *testing.T) {
	a := listen(t, 1, nil)
	good := rtp.AES128CM80.NewKey()
	for name, c := range map[string]*rtp.Crypto{
		"unknown suite": {Suite: "F8_128_HMAC_SHA1_80", Send: good, Recv: []rtp.Key{good}},
		"short key":     {Suite: rtp.AES128CM80, Send: rtp.Key{Master: make([]byte, 29)}, Recv: []rtp.Key{good}},
		"no key":        {Suite: rtp.AES128CM80, Send: good},
		"two keys, no MKI": {
			Suite: rtp.AES128CM80, Send: good, Recv: []rtp.Key{good, rtp.AES128CM80.NewKey()},
		},
		"short second key": {
			Suite: rtp.AES128CM80, Send: good,
			Recv: []rtp.Key{{Master: good.Master, MKI: []byte{1}}, {Master: []byte{1}, MKI: []byte{2}}},
		},
	} {
		if err := a.SetRemote(rtp.Remote{Crypto: c}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A peer that has the key cannot make us keep a state for ever more SSRCs.
func TestBoundsSources(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	ka, kb := keying(rtp.AES128CM80)
	connect(t, a, b, ka, kb)
	const taken, sent = 64, 100
	for i := range uint32(sent) {
		h := header(1)
		h.SSRC = i
		must(t, a.WriteRTP(h, []byte{1}))
	}
	b.until(t, "bounded", func(s rtp.Stats) bool { return s.RTPIn.Packets == taken && s.AuthFailures == sent-taken })
	h := header(2)
	h.SSRC = 0
	must(t, a.WriteRTP(h, []byte{1}))
	b.until(t, "going on", func(s rtp.Stats) bool { return s.RTPIn.Packets == taken+1 })
}

func TestKeysStayOutOfLogs(t *testing.T) {
	var out strings.Builder
	k := rtp.Key{Master: []byte("sekritsekritsekritsekritsekrit")}
	r := rtp.Remote{Crypto: &rtp.Crypto{Suite: rtp.AES128CM80, Send: k, Recv: []rtp.Key{k}}}
	fmt.Fprintf(&out, "%v %+v %s", *r.Crypto, *r.Crypto, k)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "remote", r, "key", k)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "crypto", *r.Crypto, "key", k)
	for _, leak := range []string{"sekrit", base64.StdEncoding.EncodeToString(k.Master)[:20], "115 101 107"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the key is in %s", out.String())
		}
	}
}

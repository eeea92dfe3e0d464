package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rooms is a configuration without ad hoc rooms.
const rooms = `
adhoc: false
rooms:
  - name: open
    aliases: ["9000"]
  - name: door
  - name: small
    limit: 1
  - name: vault
    host-pin: 4711
    guest-pin: 2342
  - name: council
    host-pin: 4711
    allow-guests: true
  - name: warm
`

// startWithRooms runs the program with them.
func startWithRooms(t *testing.T, args ...string) *program {
	t.Helper()
	file := filepath.Join(t.TempDir(), "skybridge.yaml")
	if err := os.WriteFile(file, []byte(rooms), 0o600); err != nil {
		t.Fatal(err)
	}
	return startProgram(t, "serve", append([]string{"--config", file}, args...)...)
}

// TestRefused is the table of what callers get who are not let in, by SIP over
// every transport, by the client API and by WHIP. Nothing of them remains.
func TestRefused(t *testing.T) {
	p := startWithRooms(t, "--rtp-ports", "43400-43499")
	events := listen(t, p.NATS)
	before := p.warm(t, events)

	t.Run("all", func(t *testing.T) {
		newSeat(t, p, "door").post(t, "lock", nil)
		newSeat(t, p, "small")
		wantMetric(t, p, "skybridge_node_conferences_owned", 2)
		busy := p.samples(t)
		for _, tt := range []refusal{
			{what: "unknown alias", alias: "nobody", sip: "404 Not Found", api: "404 not_found", whip: "404 not_found"},
			{what: "locked", alias: "door", sip: "403 Forbidden", whip: "403 locked"},
			{what: "full", alias: "small", sip: "486 Busy Here", api: "503 full", whip: "503 full"},
			{what: "no common codec", alias: "9000", format: "18", sip: "488 Not Acceptable Here", warning: `305 Skybridge "No common audio codec"`, whip: "406 invalid"},
		} {
			tt.check(t, p, busy)
		}
		refusal{what: "PIN", alias: "vault", api: "403 pin", whip: "401 pin"}.check(t, p, busy)
		t.Run("no common codec/API", func(t *testing.T) {
			s := newSeat(t, p, "open")
			path := "/api/client/v2/conferences/open/participants/" + s.participants(t, 1)["operator"] + "/calls?token=" + s.token
			body, err := json.Marshal(map[string]string{"call_type": "WEBRTC", "sdp": strings.ReplaceAll(webOffer, "SAVPF 0", "SAVPF 18")})
			if err != nil {
				t.Fatal(err)
			}
			refusal{}.post(t, p, path, "application/json", string(body), "400 invalid")
		})
		p.wantNoCalls(t, busy)
		// SIP over three transports, who are asked for a PIN; the API and WHIP; twice
		// that by codecs.
		for result, want := range map[string]float64{"not_found": 5, "forbidden": 6, "full": 5, "unavailable": 0} {
			name := fmt.Sprintf("skybridge_node_admissions_total{result=%q}", result)
			if got := p.metric(t, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
	p.wantAsBefore(t, before)
}

// TestRefusedByPolicy is about a node that wants SRTP and takes one call.
func TestRefusedByPolicy(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--max-calls", "1", "--srtp", "required", "--rtp-ports", "43500-43599")
	before := p.samples(t)
	t.Run("all", func(t *testing.T) {
		refusal{what: "no crypto", alias: "open", sip: "488 Not Acceptable Here", warning: `302 Skybridge "SRTP is required"`}.check(t, p, before)

		newSeat(t, p, "open")
		wantMetric(t, p, "skybridge_node_conferences_owned", 1)
		busy := p.samples(t)
		refusal{
			what: "no capacity", alias: "open", secure: true,
			sip: "503 Capacity Exceeded", api: "503 capacity", whip: "503 capacity", retry: true,
		}.check(t, p, busy)
	})
	p.wantAsBefore(t, before)
}

// A refusal is what callers of an alias are answered. The answers of HTTP are
// status and reason; an empty answer is one that is not asked for.
type refusal struct {
	what, alias    string
	format         string // of the offer; empty for PCMU
	secure         bool   // the offer has SRTP
	sip, api, whip string
	warning        string
	retry          bool // Retry-After is there
}

// check asks in every way that there is an answer of, and wants the program's footprint to be that of
// before each time.
func (r refusal) check(t *testing.T, p *program, before map[string]float64) {
	networks := []string{"UDP", "TCP", "TLS"}
	if r.sip == "" {
		networks = nil
	}
	for _, network := range networks {
		t.Run(r.what+"/"+network, func(t *testing.T) {
			offer := describe(40000, "RTP/AVP", "0")
			if r.format != "" {
				offer = describe(40000, "RTP/AVP", r.format)
			}
			if r.secure {
				offer = describe(40000, "RTP/SAVP", "0") + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
			}
			got := newPhone(t, p, network, "127.0.0.1").call(r.alias).ask(t, "INVITE", offer)
			if got.status != r.sip || got.header.Get("Warning") != r.warning || (got.header.Get("Retry-After") != "") != r.retry {
				t.Errorf("answer %q %v, want %q, Warning %q, Retry-After: %v", got.status, got.header, r.sip, r.warning, r.retry)
			}
			p.wantNoCalls(t, before)
		})
	}
	if r.api != "" {
		t.Run(r.what+"/API", func(t *testing.T) {
			r.post(t, p, "/api/client/v2/conferences/"+r.alias+"/request_token", "application/json", `{"display_name":"x"}`, r.api)
			p.wantNoCalls(t, before)
		})
	}
	if r.whip != "" {
		t.Run(r.what+"/WHIP", func(t *testing.T) {
			offer := webOffer
			if r.format != "" {
				offer = strings.ReplaceAll(webOffer, "SAVPF 0", "SAVPF "+r.format)
			}
			r.post(t, p, "/whip/"+r.alias, "application/sdp", offer, r.whip)
			p.wantNoCalls(t, before)
		})
	}
}

// webOffer is what a WHIP client with a telephone's codec would send.
const webOffer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijklmn\r\n" +
	"a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\n"

// post wants a status and a reason.
func (r refusal) post(t *testing.T, p *program, path, kind, body, want string) {
	t.Helper()
	resp, err := insecure.Post(p.Web+path, kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Reason string }
	if err := json.Unmarshal(answer, &v); err != nil {
		t.Errorf("answer %q: %v", answer, err)
	}
	if got := fmt.Sprintf("%d %s", resp.StatusCode, v.Reason); got != want || (resp.Header.Get("Retry-After") != "") != r.retry {
		t.Errorf("answer %s with %v %s, want %s, Retry-After: %v", got, resp.Header, answer, want, r.retry)
	}
}

// wantNoCalls wants the calls, ports and actors of before.
func (p *program) wantNoCalls(t *testing.T, before map[string]float64) {
	t.Helper()
	p.wantFootprint(t, before, footprint[2:])
}

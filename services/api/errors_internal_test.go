package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/compose"
)

func TestStatusIsTotal(t *testing.T) {
	for _, c := range []bus.Code{bus.Internal, bus.Invalid, bus.NotFound, bus.Conflict, bus.Forbidden, bus.Full, bus.Unavailable} {
		if status[c] == 0 {
			t.Errorf("code %s has no HTTP status", c)
		}
	}
}

func TestLayoutsAreTotal(t *testing.T) {
	for _, l := range compose.Layouts() {
		if back, ok := toLayout(fromLayout(l)); layouts[l] == "" || !ok || back != l {
			t.Errorf("layout %s is %q to clients, and back %q", l, fromLayout(l), back)
		}
	}
}

func TestReasonsHaveWords(t *testing.T) {
	for _, code := range []string{"disconnected", "conference_ended", "media_lost", "node_stopping", "timeout"} {
		if got := text(participant.Reason{Code: code}); got == "Call disconnected" {
			t.Errorf("reason %s has no text", code)
		}
	}
	if got := text(participant.Reason{Code: "disconnected", Text: "Bye"}); got != "Bye" {
		t.Errorf("got %q", got)
	}
}

func TestMetricNames(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	m.seats.WithLabelValues("whip").Inc()
	m.requests.WithLabelValues("lock").Inc()
	m.refused.WithLabelValues("token").Inc()
	m.events.WithLabelValues("stage").Inc()
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestFunctionOf(t *testing.T) {
	for pattern, want := range map[string]string{
		"POST " + conferences + "lock":                  "lock",
		"POST " + participants + "mute":                 "participants/mute",
		"POST " + calls + "ack":                         "participants/calls/ack",
		"POST " + conferences + "video_mixes/{rest...}": "video_mixes",
	} {
		if got := functionOf(pattern); got != want {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}

// FuzzBody reads what a client might send into everything that we decode.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"display_name":"Ada","call_tag":"x"}`, `{"call_type":"WEBRTC","sdp":"v=0","present":null}`,
		`{"transforms":{"layout":"1:7"}}`, `{"digits":"1#"}`, `{"destination":"sip:a@b","protocol":"sip"}`,
		`{"candidate":"","mid":"0"}`, `{"state":true}`, `{"type":"text/plain","payload":"x"}`, `{"action":"start","movement":[{"axis":"pan"}],"timeout":1e99}`, `[`, `null`, `"\ud800"`, `{"display_name":{}}`, "\xff",
	} {
		f.Add([]byte(s), "application/json")
	}
	f.Fuzz(func(t *testing.T, body []byte, content string) {
		read := func() (*httptest.ResponseRecorder, *http.Request) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(string(body)))
			r.Header.Set("Content-Type", content)
			return httptest.NewRecorder(), r
		}
		check := func(err error) {
			if err == nil {
				return
			}
			if x := explain(err); x.status < 400 || x.status > 499 || x.text == "" {
				t.Fatalf("%q: %d %q", body, x.status, x.text)
			}
		}
		w, r := read()
		token, err := decode[struct {
			DisplayName *string `json:"display_name"`
			CallTag     string  `json:"call_tag"`
		}](w, r)
		check(err)
		if err == nil && token.DisplayName != nil {
			shown, err := name("display_name", *token.DisplayName)
			check(err)
			if strings.ContainsAny(shown, "\r\n\x00") {
				t.Fatalf("name %q", shown)
			}
		}
		w, r = read()
		dial, err := decode[struct {
			Destination string `json:"destination"`
		}](w, r)
		check(err)
		uri, err := sipURI(dial.Destination)
		check(err)
		if strings.ContainsAny(uri, " \r\n") {
			t.Fatalf("URI %q", uri)
		}
		w, r = read()
		moving, err := decode[movementJSON](w, r)
		check(err)
		if err == nil {
			check(movable(moving))
		}
		var any map[string]any
		check(unmarshal(body, &any))
		if (unmarshal(body, &any) == nil) != (json.Unmarshal(body, &any) == nil) {
			t.Fatal("two opinions")
		}
	})
}

package natsbus

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzCheckConsumer wants what passes to name the events' stream and nowhere to
// deliver to, however it is read.
func FuzzCheckConsumer(f *testing.F) {
	for _, s := range []string{
		`{"stream_name":"SKYBRIDGE_EVT","config":{"durable_name":"mine","ack_policy":"explicit"},"action":"create"}`,
		`{"stream_name":"SKYBRIDGE_EVT","config":{"deliver_subject":"sky.a.n1.x.u"}}`,
		`{"stream_name":"SKYBRIDGE_EVT","config":{"Deliver_Subject":"x"},"config":{}}`,
		`{"stream_name":"KV_sky-records","config":{}}`, `{"config":null}`, `{}{}`, "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := checkConsumer(data)
		if err != nil {
			return
		}
		var r struct {
			Stream string                     `json:"stream_name"`
			Config map[string]json.RawMessage `json:"config"`
		}
		if err := json.Unmarshal(out, &r); err != nil || r.Stream != Stream {
			t.Fatalf("%s passes as %s: %v", data, out, err)
		}
		for key := range r.Config {
			if strings.Contains(strings.ToLower(key), "deliver_subject") || strings.Contains(strings.ToLower(key), "deliver_group") {
				t.Errorf("%s passes as %s", data, out)
			}
		}
	})
}

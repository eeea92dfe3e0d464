package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/services/integration"
)

// FuzzRequest sends anything to every endpoint, of a node that has stopped: what
// is well formed finds nobody there, everything else is invalid.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `null`, `{"room":"standup"}`, `{"room":"standup","participant":"x","role":"host","reason":"\u0000"}`,
		`{"room":"a","uri":"sip:a@b","name":"n"}`, `{"room":`, `{"node":"a"} x`, `{"room":"a","layout":"2x2"}`, "\xff",
		`{"room":"a","participant":"b","text":"c","type":"text/plain; charset=utf-8"}`,
	} {
		f.Add([]byte(seed))
	}
	sys := actors.NewSystem(slog.New(slog.DiscardHandler), actors.NewMetrics(nil))
	f.Cleanup(sys.Shutdown)
	endpoints := integration.New(integration.Deps{System: sys, Node: sys.NewLocalPID("gone"), Name: "a"}).Endpoints()
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for _, e := range endpoints {
			_, err := e.Handle(ctx, data)
			switch code := bus.CodeOf(err); {
			case code == bus.Unavailable && (len(bytes.TrimSpace(data)) == 0 || json.Valid(data)):
			case code == bus.Invalid && err.Error() != "":
			default:
				t.Errorf("%s %q: %v", e.Name, data, err)
			}
		}
	})
}

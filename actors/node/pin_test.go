package node_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
)

// TestWrongPINs lets an attacker try PINs: it locks itself out for ten minutes,
// and nobody else. Where there are many attackers, each has few attempts.
func TestWrongPINs(t *testing.T) {
	run(t, func(s *stage) {
		n := s.start("a", node.Config{Roles: []string{node.RoleMedia}, Rooms: []conference.Config{{Name: "vault", HostPIN: "1234"}}})
		// try says what is answered, and after how many seconds.
		try := func(from, pin string) string {
			m := node.Admit{Call: node.NewCall(), Alias: "vault", Protocol: "webrtc", API: true, PIN: pin, Source: netip.MustParseAddr(from)}
			before := time.Now()
			reply, _, _ := strings.Cut(s.admit(n, m), " (")
			return fmt.Sprint(reply, ", ", time.Since(before).Round(time.Second))
		}
		authorize := func(from string) string {
			before := time.Now()
			_, err := actortest.Ask[*node.Authorized](n.Bench, n.pid, &node.Authorize{
				Alias: "vault", Role: conference.RoleHost, PIN: "1234", Source: netip.MustParseAddr(from),
			})
			return fmt.Sprint(err, ", ", time.Since(before).Round(time.Second))
		}
		want := func(situation, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s, want %s", situation, got, want)
			}
		}
		const (
			wrong    = "refused: node: wrong PIN, 0s"
			blocked  = "refused: node: too many wrong PINs, 0s"
			admitted = "admitted to vault, 0s"
		)
		for i := range 21 {
			want(fmt.Sprint("attempt ", i), try("192.0.2.1", fmt.Sprintf("%04d", i)), wrong)
		}
		want("the attacker finds it", try("192.0.2.1", "1234"), blocked)
		want("the attacker asks for somebody else", authorize("192.0.2.1"), "node: too many wrong PINs, 0s")
		want("the host", try("192.0.2.2", "1234"), admitted)
		time.Sleep(10*time.Minute - time.Second)
		want("a second before the end", try("192.0.2.1", "1234"), blocked)
		time.Sleep(time.Second)
		want("at the end", try("192.0.2.1", "1234"), admitted)

		for i := range 201 {
			want("one of many", try(fmt.Sprintf("2001:db8:%x::1", i), "0000"), wrong)
		}
		for range 3 {
			want("another one", try("2001:db8:aaaa::1", "0000"), wrong)
		}
		want("once more", try("2001:db8:aaaa::1", "1234"), blocked)
		want("the host meanwhile", try("192.0.2.2", "1234"), admitted)
		want("the host asks for somebody else", authorize("192.0.2.2"), "<nil>, 0s")
		time.Sleep(10 * time.Minute)
		want("when it is over", try("2001:db8:aaaa::1", "1234"), admitted)
	})
}

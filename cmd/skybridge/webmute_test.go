package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// TestWebStaysMuted has a host mute somebody whose connection breaks then: it is
// muted when it is back, in its old seat, and in a new one at a server that knows
// nobody.
func TestWebStaysMuted(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(free.Addr().(*net.TCPAddr).Port)
	_ = free.Close() // both processes are to have it
	serve := func() *program {
		return startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999", "--https-port", port)
	}
	p := serve()
	c := startChromium(t, p.Web, "#2040a0", "640x360", 1100)
	c.arrive(t, p.Web+"/join/standup", "Ada")
	host := newSeat(t, p, "standup")
	ada := host.participants(t, 2)["Ada"]
	host.post(t, "participants/"+ada+"/mute", nil)
	host.post(t, "participants/"+ada+"/video_muted", nil)
	host.wantMuted(t, "Ada")
	c.do(t, until(row("Ada", "muted")))

	back := func() {
		t.Helper()
		c.do(t, until(`document.getElementById("banner").textContent === "" && document.getElementById("call-note-text").textContent === ""`))
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.do(t, until(`document.getElementById("banner").textContent !== ""`))
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	back()
	if id := host.wantMuted(t, "Ada"); id != ada {
		t.Error("she is in another seat, which proves less")
	}

	_ = p.cmd.Process.Kill()
	<-p.done
	c.do(t, until(`document.getElementById("banner").textContent !== ""`))
	again := newSeat(t, serve(), "standup")
	again.participants(t, 2)
	back()
	again.wantMuted(t, "Ada")
	c.do(t, until(row("Ada", "muted")))
}

// wantMuted waits until somebody can neither be heard nor be seen, and returns
// who that is.
func (s *seat) wantMuted(t *testing.T, name string) (id string) {
	t.Helper()
	eventually(t, 5*time.Second, func() error {
		result, err := s.try(http.MethodGet, "participants", nil)
		if err != nil {
			return err
		}
		var list []struct {
			Name  string `json:"display_name"`
			ID    string `json:"uuid"`
			Audio string `json:"is_muted"`
			Video bool   `json:"is_video_muted"`
		}
		if err := json.Unmarshal(result, &list); err != nil {
			return err
		}
		for _, p := range list {
			if p.Name == name && p.Audio == "YES" && p.Video {
				id = p.ID
				return nil
			}
		}
		return fmt.Errorf("%s is not muted: %+v", name, list)
	})
	return id
}

package main

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestWebBlocked has a packet filter drop all UDP between the page and the
// server for five seconds, and wants sound and picture back at most three seconds
// after that, on whatever path.
func TestWebBlocked(t *testing.T) {
	needPeer(t, "nft")
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999")
	c := startChromium(t, p.Web, "#2040a0", "640x360", 1100)
	c.arrive(t, p.Web+"/join/standup", "Ada")
	dial(t, p, "standup", "phone", 500)
	c.do(t, until(row("phone", "")), until(`document.getElementById("call-note-text").textContent === ""`))
	time.Sleep(3 * time.Second) // let packets flow for a while: that is what is missed

	_, port, err := net.SplitHostPort(p.WebRTC)
	if err != nil {
		t.Fatal(err)
	}
	open := block(t, port)
	time.Sleep(5 * time.Second)
	c.screenshot(t, "blocked")
	open()
	before := c.received(t)
	began := time.Now()
	c.do(t, until(`document.getElementById("banner").textContent === ""`))
	eventually(t, firstContact*loaded, func() error {
		if now := c.received(t); now < before+50 {
			return fmt.Errorf("%d packets, after %d", now, before)
		}
		return nil
	})
	took := time.Since(began)
	t.Logf("back after %v", took.Round(10*time.Millisecond))
	if took > firstContact*loaded {
		t.Errorf("back after %v, want at most %v", took, firstContact)
	}
}

// received is how many packets the page's connections have received.
func (c *chromium) received(t *testing.T) int {
	t.Helper()
	const count = `(async () => [...(await window.connections.at(-1).getStats()).values()].filter((s) => s.type === "inbound-rtp").reduce((n, s) => n + s.packetsReceived, 0))()`
	n, err := try(c, chromedp.Evaluate[int](count, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// block drops all UDP from and to a port of this machine until open is called,
// or the test ends. Without the privilege for that the test is skipped.
func block(t *testing.T, port string) (open func()) {
	t.Helper()
	const table = "skybridge_test"
	nft := func(rules string) error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	}
	if err := nft(fmt.Sprintf("table inet %s {\nchain input {\ntype filter hook input priority 0\nudp dport %s drop\nudp sport %s drop\n}\n}\n", table, port, port)); err != nil {
		t.Skip(err)
	}
	opened := false
	open = func() {
		if opened {
			return
		}
		opened = true
		if err := nft("delete table inet " + table); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(open)
	return open
}

package main

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// webRTCPort is the UDP port that browsers send media to.
func (p *program) webRTCPort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(p.WebRTC)
	if err != nil {
		t.Fatal(err)
	}
	return port
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

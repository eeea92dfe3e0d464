package bfcp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// needPeer skips the test when programs are missing, and fails it where all
// peers are required: a skipped test must not look green.
func needPeer(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			skipPeer(t, err)
		}
	}
}

func skipPeer(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("SKYBRIDGE_PEERS") == "all" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// A socketPair is a server and a client on sockets of this machine.
type socketPair struct {
	server, client *live
	port           uint16 // of the server
}

// A live side hands its events over a channel.
type live struct {
	*bfcp.Endpoint
	events chan any
}

func newLive() *live { return &live{events: make(chan any, 100)} }

func (l *live) notify(event any) { l.events <- event }

// wait fails unless the next event prints like want.
func (l *live) wait(t *testing.T, want any) {
	t.Helper()
	select {
	case got := <-l.events:
		if fmt.Sprintf("%T %+v", got, got) != fmt.Sprintf("%T %+v", want, want) {
			t.Fatalf("got %T %+v, want %T %+v", got, got, want, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no %T %+v", want, want)
	}
}

// overUDP and overTCP make pairs.
func overUDP(t *testing.T) *socketPair {
	t.Helper()
	var sockets [2]net.PacketConn
	var addrs [2]netip.AddrPort
	for i := range sockets {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sockets[i], addrs[i] = conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	p := &socketPair{newLive(), newLive(), addrs[0].Port()}
	p.server.start(t)(bfcp.Datagrams(sockets[0], p.server.config(sdp.FloorServer, addrs[1])))
	p.client.start(t)(bfcp.Datagrams(sockets[1], p.client.config(sdp.FloorClient, addrs[0])))
	return p
}

func overTCP(t *testing.T) *socketPair {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	p := &socketPair{newLive(), newLive(), addr.Port()}
	p.server.start(t)(bfcp.Listen(l, p.server.config(sdp.FloorServer, netip.AddrPort{})))
	p.client.start(t)(bfcp.Dial(nil, p.client.config(sdp.FloorClient, addr)))
	return p
}

func (l *live) config(role sdp.FloorRole, addr netip.AddrPort) bfcp.Config {
	return bfcp.Config{Floor: sdp.Floor{Role: role, Server: id, Client: id, Address: addr}, Notify: l.notify}
}

func (l *live) start(t *testing.T) func(*bfcp.Endpoint, error) {
	return func(e *bfcp.Endpoint, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		l.Endpoint = e
		t.Cleanup(e.Close)
	}
}

// presentation is one of everything: asked for, granted, taken over, denied,
// asked for again, released.
func (p *socketPair) presentation(t *testing.T) {
	t.Helper()
	p.server.wait(t, bfcp.Ready{})
	p.client.wait(t, bfcp.Ready{})

	p.client.Request("quarterly figures")
	p.server.wait(t, bfcp.Requested{ID: 1, Priority: 2, Info: "quarterly figures"})
	p.server.Grant(1)
	p.client.wait(t, bfcp.Decided{Status: bfcp.Granted})
	p.client.wait(t, bfcp.Presenter{User: 9, Mine: true})

	p.server.SetPresenter(&bfcp.Presenter{Name: "Zoe"})
	p.client.wait(t, bfcp.Decided{Status: bfcp.Revoked, Info: "Zoe"})
	p.client.wait(t, bfcp.Presenter{User: 10, Name: "Zoe"})

	p.client.Request("")
	p.server.wait(t, bfcp.Requested{ID: 3, Priority: 2})
	p.client.wait(t, bfcp.Decided{Status: bfcp.Pending}) // after 200 ms
	p.server.Deny(3, "one at a time")
	p.client.wait(t, bfcp.Decided{Status: bfcp.Denied, Info: "one at a time"})

	p.client.Request("")
	p.server.wait(t, bfcp.Requested{ID: 4, Priority: 2})
	p.server.Grant(4)
	p.client.wait(t, bfcp.Decided{Status: bfcp.Granted})
	p.client.wait(t, bfcp.Presenter{User: 9, Mine: true})
	p.client.Release()
	p.server.wait(t, bfcp.Withdrawn{ID: 4})
	p.client.wait(t, bfcp.Decided{Status: bfcp.Released})
	p.client.wait(t, bfcp.Presenter{})
}

func TestSockets(t *testing.T) {
	for name, over := range map[string]func(*testing.T) *socketPair{"UDP": overUDP, "TCP": overTCP} {
		t.Run(name, func(t *testing.T) { over(t).presentation(t) })
	}
}

// TestDissected has an independent decoder read everything that was said, as
// the loopback interface carried it.
func TestDissected(t *testing.T) {
	needPeer(t, "dumpcap", "tshark", "text2pcap")
	for name, over := range map[string]func(*testing.T) *socketPair{"udp": overUDP, "tcp": overTCP} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bfcp.pcap")
			stop := capture(t, file, name)
			p := over(t)
			p.presentation(t)
			p.client.Request("")
			p.server.wait(t, bfcp.Requested{ID: 5, Priority: 2})
			p.client.Close()
			if name == "udp" {
				p.server.wait(t, bfcp.Withdrawn{ID: 5})
			} else { // it may come back, and is not told by a Goodbye that it will not
				p.server.wait(t, bfcp.Lost{Err: io.EOF})
			}
			p.server.Close()
			stop()

			if name == "udp" {
				file = asVersion1(t, file, p.port)
			}
			decode := fmt.Sprintf("%s.port==%d,bfcp", name, p.port)
			filter := fmt.Sprintf("%s.port==%d && bfcp", name, p.port)
			if bad := dissect(t, file, decode, filter+" && (_ws.malformed || _ws.expert || bfcp.attribute_length.too_small)"); bad != "" {
				t.Errorf("malformed:\n%s", bad)
			}
			other := map[string]string{"udp": "udp && !icmp", "tcp": "tcp.len > 0"}[name]
			if other = dissect(t, file, decode, fmt.Sprintf("%s.port==%d && !bfcp && %s", name, p.port, other)); other != "" {
				t.Errorf("not BFCP:\n%s", other)
			}
			lines := dissect(t, file, decode, filter,
				"-T", "fields", "-e", "bfcp.ver", "-e", "bfcp.primitive", "-e", "bfcp.hdr_r_bit", "-e", "bfcp.conference_id", "-e", "bfcp.user_id",
				"-e", "bfcp.request_status", "-e", "bfcp.user_disp_name", "-e", "bfcp.status_info_text", "-e", "bfcp.part_prov_info_text")
			seen := map[string]bool{}
			for line := range strings.Lines(lines) {
				f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
				for i, primitive := range strings.Split(f[1], ",") {
					seen[primitive] = true
					if at(f[0], i) != "1" || at(f[3], i) != strconv.Itoa(int(id.Conference)) || at(f[4], i) != "9" {
						t.Errorf("header of %q", line)
					}
					if response := at(f[2], i); name == "tcp" && response != "0" {
						t.Errorf("R bit over TCP: %q", line)
					}
				}
			}
			want := []bfcp.Primitive{
				bfcp.FloorRequest, bfcp.FloorRelease, bfcp.FloorRequestStatus, bfcp.FloorQuery, bfcp.FloorStatus, bfcp.Hello, bfcp.HelloAck,
			}
			if name == "udp" {
				want = append(want, bfcp.FloorRequestStatusAck, bfcp.FloorStatusAck, bfcp.Goodbye, bfcp.GoodbyeAck)
			}
			for _, primitive := range want {
				if !seen[strconv.Itoa(int(primitive))] {
					t.Errorf("no %v was seen", primitive)
				}
			}
			for _, text := range []string{"Zoe", "one at a time", "quarterly figures"} {
				if !strings.Contains(lines, text) {
					t.Errorf("%q was not seen", text)
				}
			}
		})
	}
}

// asVersion1 returns a capture of the same messages that say version 1 instead
// of 2, which is otherwise the same: the tshark of today takes anything else
// for something other than BFCP.
func asVersion1(t *testing.T, file string, port uint16) string {
	t.Helper()
	lines := dissect(t, file, fmt.Sprintf("udp.port==%d,data", port), fmt.Sprintf("udp.port==%d && !icmp", port),
		"-T", "fields", "-e", "udp.payload")
	var dump strings.Builder
	for line := range strings.Lines(lines) {
		b := octets(t, strings.TrimSpace(line))
		if b[0]>>5 != bfcp.DatagramVersion {
			t.Errorf("version %d over UDP: %x", b[0]>>5, b)
		}
		b[0] = bfcp.StreamVersion<<5 | b[0]&0x1f
		fmt.Fprintf(&dump, "0000 % x\n", b)
	}
	text := file + ".txt"
	if err := os.WriteFile(text, []byte(dump.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	file += ".v1"
	ports := fmt.Sprintf("%d,%d", port, port)
	if out, err := exec.Command("text2pcap", "-q", "-u", ports, text, file).CombinedOutput(); err != nil {
		t.Fatalf("text2pcap: %v: %s", err, out)
	}
	return file
}

// at is one of several values, of several messages in one packet.
func at(values string, i int) string {
	all := strings.Split(values, ",")
	if i < len(all) {
		return all[i]
	}
	return ""
}

// capture records a protocol on the loopback interface until stop is called. It
// ends with the test, however that ends: by itself if nobody is there to end it.
func capture(t *testing.T, file, protocol string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, "dumpcap", "-a", "duration:60", "-q", "-i", "lo", "-f", protocol, "-P", "-w", file)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		cancel()
		_ = ended()
	})
	// It names the file when it captures.
	var text []byte
	buf := make([]byte, 1024)
	for !bytes.Contains(text, []byte("File: ")) {
		n, err := said.Read(buf)
		text = append(text, buf[:n]...)
		if err != nil {
			_ = ended()
			skipPeer(t, fmt.Errorf("dumpcap: %s", text))
		}
	}
	return func() {
		t.Helper()
		time.Sleep(time.Second) // what the kernel has buffered, which nothing tells of
		_ = cmd.Process.Signal(syscall.SIGINT)
		rest, _ := io.ReadAll(said)
		if err := ended(); err != nil {
			t.Fatalf("dumpcap: %v: %s%s", err, text, rest)
		}
	}
}

// dissect is what tshark prints of the packets that a filter matches.
func dissect(t *testing.T, file, decode, filter string, args ...string) string {
	t.Helper()
	out, err := exec.Command("tshark", append([]string{"-r", file, "-d", decode, "-Y", filter}, args...)...).Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("tshark: %v: %s", err, e.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A phone speaks SIP as the test writes it, over one socket.
type phone struct {
	conn    net.Conn
	network string // as Via names it
	server  string
	replies chan reply // what is not a request of the server's
	local   string
}

// A reply is a response to one of our requests.
type reply struct {
	status string // "404 Not Found"
	header textproto.MIMEHeader
	body   string
}

// newPhone connects to p over UDP, TCP or TLS, from an address of 127.0.0.0/8.
func newPhone(t *testing.T, p *program, network, from string) *phone {
	t.Helper()
	u := &phone{network: network, server: p.SIP, replies: make(chan reply, 16)}
	ip := net.ParseIP(from)
	tcp := &net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}}
	var err error
	switch network {
	case "UDP":
		u.conn, err = (&net.Dialer{LocalAddr: &net.UDPAddr{IP: ip}}).Dial("udp", p.SIP)
	case "TCP":
		u.conn, err = tcp.Dial("tcp", p.SIP)
	case "TLS":
		u.server = p.SIPS
		u.conn, err = tls.DialWithDialer(tcp, "tcp", p.SIPS, &tls.Config{InsecureSkipVerify: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	u.local = u.conn.LocalAddr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.read()
	}()
	t.Cleanup(func() {
		_ = u.conn.Close()
		<-done
	})
	return u
}

// read hands over the responses until the socket is closed. A datagram is one
// message, and a stream is cut into them by Content-Length.
func (u *phone) read() {
	defer close(u.replies)
	in := bufio.NewReaderSize(u.conn, 65536) // no message is longer, and a read takes a whole datagram
	r := textproto.NewReader(in)
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		n, _ := strconv.Atoi(header.Get("Content-Length")) // 0 when absent
		body := make([]byte, n)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		if status, ok := strings.CutPrefix(line, "SIP/2.0 "); ok {
			u.replies <- reply{status, header, string(body)}
		}
	}
}

// A dialog is one call of a phone.
type dialog struct {
	*phone
	alias, id, to, branch string
	seq                   int
}

// call begins a dialog with alias.
func (u *phone) call(alias string) *dialog {
	return &dialog{phone: u, alias: alias, id: fmt.Sprintf("%x", rand.Uint64()), to: fmt.Sprintf("<sip:%s@%s>", alias, u.server)}
}

// message writes a request of the dialog.
func (d *dialog) message(method, body string) string {
	if method != "ACK" {
		d.seq++
		d.branch = fmt.Sprintf("z9hG4bK%x", rand.Uint64())
	}
	kind := ""
	if body != "" {
		kind = "Content-Type: application/sdp\r\n"
	}
	return fmt.Sprintf("%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/%s %s;rport;branch=%s\r\nMax-Forwards: 70\r\nFrom: phone <sip:phone@%s>;tag=%s\r\nTo: %s\r\n"+
		"Call-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:phone@%s;transport=%s>\r\n%sContent-Length: %d\r\n\r\n%s",
		method, d.alias, d.server, d.network, d.local, d.branch, d.local, d.id, d.to, d.id, d.seq, method, d.local, strings.ToLower(d.network), kind, len(body), body)
}

// ask sends a request and returns the final response. An INVITE is
// acknowledged.
func (d *dialog) ask(t *testing.T, method, body string) reply {
	t.Helper()
	if _, err := io.WriteString(d.conn, d.message(method, body)); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d %s", d.seq, method)
	late := time.After(15 * time.Second)
	for {
		select {
		case r, ok := <-d.replies:
			if !ok {
				t.Fatalf("%s over %s: the connection was closed", method, d.network)
			}
			if r.header.Get("Call-Id") != d.id || r.header.Get("Cseq") != want || r.status < "200" {
				continue
			}
			d.to = r.header.Get("To")
			if method == "INVITE" {
				if r.status < "300" {
					d.branch = fmt.Sprintf("z9hG4bK%x", rand.Uint64()) // RFC 3261 section 13.2.2.4: a transaction of its own
				}
				if _, err := io.WriteString(d.conn, d.message("ACK", "")); err != nil {
					t.Fatal(err)
				}
			}
			return r
		case <-late:
			t.Fatalf("%s over %s: no final response", method, d.network)
		}
	}
}

// describe is an offer of one line of audio, at a port of 127.0.0.1.
func describe(port int, profile, formats string) string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d %s %s\r\n", port, profile, formats)
}

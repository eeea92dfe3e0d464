package sip_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A ua is a peer on the wire. It writes what the test wants, right or wrong.
type ua struct {
	*testing.T
	transport string // "UDP", "TCP" or "TLS"
	local     netip.AddrPort
	remote    netip.AddrPort // of the service

	udp    *net.UDPConn
	stream net.Conn
	in     chan message
	read   sync.WaitGroup
}

// A message is a message as it came, cut into pieces.
type message struct {
	line    string // the first
	headers []string
	body    string
	from    netip.AddrPort
	at      time.Time
}

// newUA is a peer that talks to the bench.
func newUA(b *bench, transport string) *ua {
	b.Helper()
	remote := b.Server.Addrs().SIP
	if transport == "TLS" {
		remote = b.Server.Addrs().SIPS
	}
	return dialUA(b.T, transport, remote)
}

func dialUA(t *testing.T, transport string, remote netip.AddrPort) *ua {
	t.Helper()
	u := &ua{T: t, transport: transport, remote: remote, in: make(chan message, 4096)}
	var err error
	switch transport {
	case "UDP":
		u.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	case "TCP":
		u.stream, err = net.Dial("tcp", remote.String())
	case "TLS":
		u.stream, err = tls.Dial("tcp", remote.String(), &tls.Config{InsecureSkipVerify: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	u.start()
	return u
}

func (u *ua) start() {
	if u.udp != nil {
		u.local = netip.MustParseAddrPort(u.udp.LocalAddr().String())
		u.read.Go(u.readUDP)
	} else {
		u.local = netip.MustParseAddrPort(u.stream.LocalAddr().String())
		u.read.Go(func() { u.readStream(u.stream) })
	}
	u.Cleanup(u.close)
}

func (u *ua) close() {
	if u.udp != nil {
		u.udp.Close()
	} else {
		u.stream.Close()
	}
	u.read.Wait()
}

func (u *ua) readUDP() {
	buf := make([]byte, 65536)
	for {
		n, from, err := u.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && n > 4 {
			m := parse(string(buf[:n]))
			m.from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			u.in <- m
		}
	}
}

func (u *ua) readStream(c net.Conn) {
	defer close(u.in)
	var data []byte
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		data = append(data, buf[:n]...)
		for {
			data = bytes.TrimLeft(data, "\r\n")
			head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
			if !ok {
				break
			}
			m := parse(string(head) + "\r\n\r\n")
			size, _ := strconv.Atoi(m.header("Content-Length"))
			if len(body) < size {
				break
			}
			m.body, data = string(body[:size]), body[size:]
			u.in <- m
		}
		if err != nil {
			return
		}
	}
}

func parse(s string) message {
	head, body, _ := strings.Cut(s, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	return message{line: lines[0], headers: lines[1:], body: body, at: time.Now()}
}

// header is the value of the first header of that name.
func (m *message) header(name string) string {
	for _, v := range m.all(name) {
		return v
	}
	return ""
}

func (m *message) all(name string) []string {
	var vs []string
	for _, h := range m.headers {
		if n, v, _ := strings.Cut(h, ":"); strings.EqualFold(strings.TrimSpace(n), name) {
			vs = append(vs, strings.TrimSpace(v))
		}
	}
	return vs
}

// status is the status code of a response; 0 for a request.
func (m *message) status() int {
	f := strings.Fields(m.line)
	if len(f) < 2 || f[0] != "SIP/2.0" {
		return 0
	}
	n, _ := strconv.Atoi(f[1])
	return n
}

func (m *message) method() string {
	if m.status() != 0 {
		_, method, _ := strings.Cut(m.header("CSeq"), " ")
		return method
	}
	method, _, _ := strings.Cut(m.line, " ")
	return method
}

// tag is the tag in header name.
func (m *message) tag(name string) string {
	_, tag, _ := strings.Cut(m.header(name), ";tag=")
	tag, _, _ = strings.Cut(tag, ";")
	return tag
}

func (u *ua) write(text string) {
	u.Helper()
	var err error
	if u.udp != nil {
		_, err = u.udp.WriteToUDPAddrPort([]byte(text), u.remote)
	} else {
		_, err = io.WriteString(u.stream, text)
	}
	if err != nil {
		u.Fatalf("write: %v", err)
	}
}

// receive returns the next message.
func (u *ua) receive() message {
	u.Helper()
	select {
	case m, ok := <-u.in:
		if !ok {
			u.Fatal("connection closed")
		}
		return m
	case <-time.After(patience):
		u.Fatal("nothing received")
	}
	return message{}
}

// expect returns the next response with that status to that method.
// Provisional responses are skipped, and so is what else may be under way.
func (u *ua) expect(status int, method string) message {
	u.Helper()
	for {
		m := u.receive()
		if m.status() == status && m.method() == method {
			return m
		}
		if m.status() >= 200 && m.method() == method {
			u.Fatalf("got %q, want %d to %s", m.line, status, method)
		}
	}
}

// final returns the final response to d, which must have that status. Answers to
// others, which may be repeated at any time, are skipped.
func (u *ua) final(d *draft, status int) message {
	u.Helper()
	for {
		m := u.receive()
		if m.status() < 200 || m.header("Call-ID") != d.get("Call-ID") || m.header("CSeq") != d.get("CSeq") {
			continue
		}
		if m.status() != status {
			u.Fatalf("got %q, want %d to %s", m.line, status, m.method())
		}
		return m
	}
}

// expectRequest returns the next request of that method.
func (u *ua) expectRequest(method string) message {
	u.Helper()
	for {
		if m := u.receive(); m.status() == 0 && m.method() == method {
			return m
		}
	}
}

// silence fails if a request or a final response comes within d.
func (u *ua) silence(d time.Duration) {
	u.Helper()
	select {
	case m, ok := <-u.in:
		if ok {
			u.Fatalf("got %q, want nothing", m.line)
		}
	case <-time.After(d):
	}
}

var unique atomic.Int64

// A draft is a message that is still being written.
type draft struct {
	line    string
	headers [][2]string
	body    string
	branch  string
}

// draft starts a request of a new dialog. uri is that of the service.
func (u *ua) draft(method, user string) *draft {
	n := unique.Add(1)
	uri := fmt.Sprintf("sip:%s@%s", user, u.remote)
	d := &draft{line: fmt.Sprintf("%s %s SIP/2.0", method, uri), branch: fmt.Sprintf("z9hG4bK%d", n)}
	d.set("Via", fmt.Sprintf("SIP/2.0/%s %s;branch=%s;rport", u.transport, u.local, d.branch))
	d.set("From", fmt.Sprintf(`"Alice" <sip:alice@%s>;tag=a%d`, u.local.Addr(), n))
	d.set("To", fmt.Sprintf("<%s>", uri))
	d.set("Call-ID", fmt.Sprintf("call%d@test", n))
	d.set("CSeq", "1 "+method)
	d.set("Max-Forwards", "70")
	d.set("Contact", fmt.Sprintf("<sip:alice@%s;transport=%s>", u.local, strings.ToLower(u.transport)))
	return d
}

// set replaces a header, or adds it.
func (d *draft) set(name, value string) *draft {
	for i := range d.headers {
		if d.headers[i][0] == name {
			d.headers[i][1] = value
			return d
		}
	}
	return d.add(name, value)
}

func (d *draft) add(name, value string) *draft {
	d.headers = append(d.headers, [2]string{name, value})
	return d
}

func (d *draft) get(name string) string {
	for _, h := range d.headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

func (d *draft) remove(name string) *draft {
	kept := d.headers[:0:0]
	for _, h := range d.headers {
		if h[0] != name {
			kept = append(kept, h)
		}
	}
	d.headers = kept
	return d
}

func (d *draft) sdp(body string) *draft {
	d.body = body
	return d.set("Content-Type", "application/sdp")
}

// clone is a copy that can be changed alone.
func (d *draft) clone() *draft {
	c := *d
	c.headers = append([][2]string(nil), d.headers...)
	return &c
}

func (d *draft) String() string {
	var b strings.Builder
	b.WriteString(d.line + "\r\n")
	for _, h := range d.headers {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	if d.get("Content-Length") == "" && d.get("l") == "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(d.body))
	}
	return b.String() + "\r\n" + d.body
}

// reply answers a request that was received.
func (u *ua) reply(req message, status int, reason string, change ...func(*draft)) {
	u.Helper()
	d := &draft{line: fmt.Sprintf("SIP/2.0 %d %s", status, reason)}
	for _, v := range req.all("Via") {
		d.add("Via", v)
	}
	d.set("From", req.header("From")).set("To", req.header("To"))
	if req.tag("To") == "" && status > 100 {
		d.set("To", req.header("To")+";tag=b"+strconv.FormatInt(unique.Add(1), 10))
	}
	d.set("Call-ID", req.header("Call-ID")).set("CSeq", req.header("CSeq"))
	for _, f := range change {
		f(d)
	}
	u.write(d.String())
}

// A dialog is a call of a ua, once it has been answered.
type dialog struct {
	*ua
	first  *draft  // the INVITE
	answer message // its 200
	seq    int
}

const audioOffer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"

const videoOffer = audioOffer + "m=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f;packetization-mode=1\r\n"

// call dials user and completes the call.
func (u *ua) call(user string, change ...func(*draft)) *dialog {
	u.Helper()
	d := u.draft("INVITE", user).sdp(audioOffer)
	for _, f := range change {
		f(d)
	}
	u.write(d.String())
	ok := u.final(d, 200)
	c := &dialog{ua: u, first: d, answer: ok, seq: 1}
	c.ack(ok, "")
	return c
}

// target is where requests of the dialog go.
func (d *dialog) target() string {
	contact := d.answer.header("Contact")
	return strings.Trim(contact, "<>")
}

// ack acknowledges a 200 to INVITE.
func (d *dialog) ack(ok message, body string) {
	d.Helper()
	m := d.request("ACK")
	seq, _, _ := strings.Cut(ok.header("CSeq"), " ")
	m.set("CSeq", seq+" ACK")
	if body != "" {
		m.sdp(body)
	}
	d.write(m.String())
}

// request starts a request of the dialog. An ACK does not count.
func (d *dialog) request(method string) *draft {
	m := d.draft(method, "x")
	m.line = fmt.Sprintf("%s %s SIP/2.0", method, d.target())
	m.set("From", d.first.get("From")).set("To", d.answer.header("To")).set("Call-ID", d.first.get("Call-ID"))
	if method != "ACK" {
		d.seq++
	}
	return m.set("CSeq", fmt.Sprintf("%d %s", d.seq, method))
}

// do sends a request of the dialog and returns the final response.
func (d *dialog) do(method string, status int, change ...func(*draft)) message {
	d.Helper()
	m := d.request(method)
	for _, f := range change {
		f(m)
	}
	d.write(m.String())
	return d.final(m, status)
}

func (d *dialog) bye() {
	d.Helper()
	d.do("BYE", 200)
}

// certificate is one for 127.0.0.1, signed by itself.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

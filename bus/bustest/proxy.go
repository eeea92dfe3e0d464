package bustest

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// A Proxy is a link to a NATS server that can go bad: frozen, as a network that
// drops everything without a word, or cut. It is safe for concurrent use.
type Proxy struct {
	URL string // for clients

	mu     sync.Mutex // guards the rest
	target string     // host:port; "" refuses
	frozen chan struct{}
	conns  map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// NewProxy returns a link to the server at url. It ends with the test.
func NewProxy(t *testing.T, url string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "nats://" + l.Addr().String(), target: hostOf(url), conns: map[net.Conn]bool{}}
	p.wg.Go(func() { p.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.cut()
		p.Thaw()
		p.wg.Wait()
	})
	return p
}

func hostOf(url string) string { return strings.TrimPrefix(url, "nats://") }

// Freeze holds everything back until Thaw.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// Thaw lets everything through that was held back.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// Refuse cuts what there is and takes nothing new, until Forward.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.target = ""
	p.mu.Unlock()
	p.cut()
}

// Forward leads new connections to the server at url.
func (p *Proxy) Forward(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = hostOf(url)
}

func (p *Proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

func (p *Proxy) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out := p.dial()
		if out == nil || !p.add(in, out) {
			_ = in.Close()
			continue
		}
		p.wg.Go(func() { p.pump(in, out) })
		p.wg.Go(func() { p.pump(out, in) })
	}
}

// dial returns nil when the server cannot be reached.
func (p *Proxy) dial() net.Conn {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	if target == "" {
		return nil
	}
	c, err := net.Dial("tcp", target)
	if err != nil {
		return nil
	}
	return c
}

// add reports false, and closes out, when it is too late.
func (p *Proxy) add(in, out net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.target == "" {
		_ = out.Close()
		return false
	}
	p.conns[in], p.conns[out] = true, true
	return true
}

func (p *Proxy) pump(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		if frozen != nil {
			<-frozen
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

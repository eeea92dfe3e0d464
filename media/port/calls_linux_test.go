package port_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/rtp"
	"golang.org/x/sys/unix"

	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
	media "github.com/skybridge-media/skybridge/media/rtp"
)

// loadVariable turns this test binary into the callers of [BenchmarkCalls]: it
// holds how many.
const loadVariable = "SKYBRIDGE_TEST_CALLERS"

const (
	callWarmUp = 3 * time.Second
	callWindow = 8 * time.Second
	callRoom   = 100 // legs per bridge
	callVoices = 3   // of them, that talk
)

// BenchmarkCalls measures what a G.711 call costs from socket to socket: its
// sockets, its port, and its share of a room of 100 where three talk and all
// send noise. The callers are another process. One iteration lasts eleven
// seconds: run it with -benchtime=1x.
func BenchmarkCalls(b *testing.B) {
	for _, legs := range []int{200, 600} {
		b.Run(strconv.Itoa(legs), func(b *testing.B) {
			for b.Loop() {
				measureCalls(b, legs)
			}
		})
	}
}

func measureCalls(b *testing.B, legs int) {
	load := exec.Command(os.Args[0], "-test.run=^TestCallers$", "-test.v")
	load.Env = append(os.Environ(), fmt.Sprintf("%s=%d", loadVariable, legs))
	stdin, err := load.StdinPipe()
	must(b, err)
	stdout, err := load.StdoutPipe()
	must(b, err)
	must(b, load.Start())
	out := bufio.NewReader(stdout)
	callers := readPorts(b, out)

	before := memory()
	workers := bridge.NewWorkers(1)
	defer workers.Close()
	var sessions []*media.Session
	var ports []*port.Port
	var rooms []*bridge.Bridge
	metrics, portMetrics := media.NewMetrics(nil), port.NewMetrics(nil)
	for i, caller := range callers {
		if i%callRoom == 0 {
			rooms = append(rooms, bridge.New(bridge.Config{Workers: workers}))
			plan := &bridge.Plan{}
			for j := range callRoom {
				plan.Members = append(plan.Members, bridge.Member{ID: strconv.Itoa(i + j)})
			}
			rooms[len(rooms)-1].Apply(plan)
		}
		s, err := media.Listen(media.Config{Bind: netip.MustParseAddr("127.0.0.1"), Metrics: metrics})
		must(b, err)
		p := port.New(port.Config{Metrics: portMetrics})
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(caller))
		must(b, s.SetRemote(media.Remote{RTP: to, Types: []uint8{0}}))
		p.SetAudio(&port.Audio{Codec: &g711.PCMU, Send: true, Recv: true, SSRC: uint32(i + 1), CNAME: "us", Out: s})
		s.Start(media.Handler{RTP: p.AudioRTP, RTCP: p.AudioRTCP})
		sessions, ports = append(sessions, s), append(ports, p)
		rooms[len(rooms)-1].Attach(strconv.Itoa(i), p, false)
		_, err = fmt.Fprintln(stdin, s.Port())
		must(b, err)
	}

	time.Sleep(callWarmUp)
	in, sent := traffic(sessions)
	cpu, began := cpuTime(), time.Now()
	time.Sleep(callWindow)
	seconds := time.Since(began).Seconds() * float64(legs)
	b.ReportMetric((cpuTime()-cpu).Seconds()*1000/seconds, "ms/s/call")
	inAfter, sentAfter := traffic(sessions)
	b.ReportMetric(float64(inAfter-in)/seconds, "in/s")
	b.ReportMetric(float64(sentAfter-sent)/seconds, "out/s")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(memory()-before)/float64(legs), "B/call")
	b.ReportMetric(float64(concealed(ports))/float64(legs), "concealed/call")

	must(b, stdin.Close())
	rest, err := io.ReadAll(out)
	must(b, err)
	must(b, load.Wait())
	for line := range strings.SplitSeq(string(rest), "\n") {
		if n, ok := strings.CutPrefix(line, "received "); ok {
			got, err := strconv.Atoi(n)
			must(b, err)
			if _, sent := traffic(sessions); float64(got) < 0.99*float64(sent) {
				b.Errorf("%d packets received of %d", got, sent)
			}
		}
	}
	for _, r := range rooms {
		r.Close()
	}
	for i := range ports {
		ports[i].Close()
		must(b, sessions[i].Close())
	}
}

func readPorts(b *testing.B, r *bufio.Reader) (ports []int) {
	for {
		line, err := r.ReadString('\n')
		must(b, err)
		list, ok := strings.CutPrefix(line, "ports ")
		if !ok {
			continue // of package testing
		}
		for f := range strings.FieldsSeq(list) {
			n, err := strconv.Atoi(f)
			must(b, err)
			ports = append(ports, n)
		}
		return ports
	}
}

func traffic(sessions []*media.Session) (in, out uint64) {
	for _, s := range sessions {
		st := s.Stats()
		in += st.RTPIn.Packets
		out += st.RTPOut.Packets
	}
	return in, out
}

func concealed(ports []*port.Port) (n uint64) {
	for _, p := range ports {
		n += p.Stats().AudioIn.Concealed
	}
	return n
}

// cpuTime is what this process has used, in user and kernel mode.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is what the heap and the stacks of this process hold, in bytes.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// TestCallers is the other process of [BenchmarkCalls]. It prints where its
// callers are, reads where each is to send to, and lets them send until its
// input ends.
func TestCallers(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(loadVariable))
	if err != nil {
		t.Skip("only as a process of BenchmarkCalls")
	}
	var callers []*testCaller
	line := "ports"
	for i := range n {
		c := newTestCaller(t, i)
		defer unix.Close(c.fd)
		callers = append(callers, c)
		line += " " + strconv.Itoa(c.port)
	}
	fmt.Println("\n" + line)
	started, ended := make(chan *testCaller, n), make(chan struct{})
	go func() {
		defer close(ended)
		in := bufio.NewScanner(os.Stdin)
		for _, c := range callers {
			if !in.Scan() {
				return
			}
			to, err := strconv.Atoi(in.Text())
			if err != nil {
				return
			}
			c.to.Port = to
			started <- c
		}
		for in.Scan() {
		}
	}()
	var slots [20][]*testCaller // by the millisecond they send in
	begun := time.Now()
	for ms := 0; ; ms++ {
		time.Sleep(time.Until(begun.Add(time.Duration(ms) * time.Millisecond)))
		select {
		case c := <-started:
			slot := &slots[rand.IntN(20)]
			*slot = append(*slot, c)
			continue
		case <-ended:
			received := 0
			for _, c := range callers {
				c.receive()
				received += c.received
			}
			fmt.Printf("\nreceived %d\n", received)
			return
		default:
		}
		for _, c := range slots[ms%20] {
			c.send(t)
			c.receive()
		}
	}
}

// A testCaller sends noise and counts what it gets.
type testCaller struct {
	fd       int
	port     int
	to       unix.SockaddrInet4
	header   pion.Header
	loud     bool
	received int
	buf      []byte
}

func newTestCaller(t *testing.T, i int) *testCaller {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	home := [4]byte{127, 0, 0, 1}
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: home}))
	name, err := unix.Getsockname(fd)
	must(t, err)
	return &testCaller{
		fd: fd, port: name.(*unix.SockaddrInet4).Port, to: unix.SockaddrInet4{Addr: home},
		header: pion.Header{Version: 2, SSRC: rand.Uint32()}, loud: i%callRoom < callVoices, buf: make([]byte, 2048),
	}
}

func (c *testCaller) send(t *testing.T) {
	c.header.SequenceNumber++
	c.header.Timestamp += 160
	n, err := c.header.MarshalTo(c.buf)
	must(t, err)
	payload := c.buf[n : n+160]
	for i := 0; i < len(payload); i += 8 {
		binary.LittleEndian.PutUint64(payload[i:], rand.Uint64())
	}
	if !c.loud {
		for i := range payload {
			payload[i] |= 0x7e // one or two steps around zero
		}
	}
	_ = unix.Sendto(c.fd, c.buf[:n+160], 0, &c.to)
}

func (c *testCaller) receive() {
	for {
		if _, err := unix.Read(c.fd, c.buf); err != nil {
			return
		}
		c.received++
	}
}

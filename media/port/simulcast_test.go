package port_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/payload"
	"github.com/skybridge-media/skybridge/media/port"
)

// ridExt names layers in the tests.
const ridExt = 5

// A caster sends a picture in several sizes side by side to a port of its own,
// over 20 ms each way. The number of a picture is its luma.
type caster struct {
	*port.Port
	t       *testing.T
	wire    *wire // from the port
	names   []string
	sizes   [][2]int
	codec   *codecs.Video
	encoder []codecs.VideoEncoder
	off     []bool // which layers are not sent
	seq     []uint16
	named   int // packets of each layer that bear its name; the rest do not
	n       int // pictures sent
	lose    bool

	mu   sync.Mutex // guards what follows
	mute []bool     // which layers answer no request
	key  []bool     // which layers were asked for a key frame
	plis []int
}

func newCaster(t *testing.T, codec *codecs.Video, sizes ...[2]int) *caster {
	c := &caster{
		Port: newPort(t, nil), t: t, wire: newWire(t), codec: codec, sizes: sizes, named: 1 << 30,
		off: make([]bool, len(sizes)), mute: make([]bool, len(sizes)), key: make([]bool, len(sizes)),
		plis: make([]int, len(sizes)), seq: make([]uint16, len(sizes)), names: []string{"q", "h", "f", "x"}[:len(sizes)],
	}
	c.wire.delay, c.wire.rtcp = 20*time.Millisecond, c.control
	for _, s := range sizes {
		e, err := codec.NewEncoder(codecs.VideoOptions{Width: s[0], Height: s[1], FrameRate: 30, Bitrate: s[0] * s[1] * 20, KeepAll: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		c.encoder = append(c.encoder, e)
	}
	c.SetVideo(c.video())
	return c
}

func (c *caster) video() *port.Video {
	v := screen(c.wire, "")
	v.Codec, v.LayerExt = c.codec, ridExt
	if c.codec.Name == "H264" {
		v.Mode = 1
	}
	for _, name := range c.names {
		v.Layers = append(v.Layers, port.Layer{RID: name})
	}
	return v
}

func ssrc(layer int) uint32 { return 100 + uint32(layer) }

func (c *caster) control(packets []rtcp.Packet, _ time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range packets {
		if pli, ok := p.(*rtcp.PictureLossIndication); ok {
			layer := int(pli.MediaSSRC - 100)
			c.plis[layer]++
			c.key[layer] = !c.mute[layer]
		}
	}
}

// asked returns how many key frames were asked for, by layer.
func (c *caster) asked() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.plis)
}

// take reports whether layer i is to have a key frame.
func (c *caster) take(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := c.key[i]
	c.key[i] = false
	return key
}

// refresh makes the next picture of layer i a key frame.
func (c *caster) refresh(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key[i] = true
}

// answer says whether layer i answers requests.
func (c *caster) answer(i int, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute[i] = !on
}

// send sends the next picture in all layers, and waits for the one after.
func (c *caster) send() {
	c.t.Helper()
	pic := yuv.Color{Y: c.luma(c.n), U: 128, V: 128}
	var packets []*rtp.Packet
	for i, size := range c.sizes {
		if c.off[i] {
			continue
		}
		p := yuv.New(size[0], size[1])
		p.Fill(pic)
		unit, _, err := c.encoder[i].Encode(nil, p, c.take(i))
		if err != nil {
			c.t.Fatal(err)
		}
		payloads, err := payload.Packetize(c.codec.Name, unit, 1, 200)
		if err != nil {
			c.t.Fatal(err)
		}
		for j, b := range payloads {
			c.seq[i]++
			pkt := &rtp.Packet{Header: rtp.Header{
				Version: 2, PayloadType: 97, SSRC: ssrc(i), SequenceNumber: c.seq[i],
				Timestamp: uint32(1e6*i + 3000*c.n), Marker: j == len(payloads)-1,
			}, Payload: b}
			if int(c.seq[i]) <= c.named {
				if err := pkt.SetExtension(ridExt, []byte(c.names[i])); err != nil {
					c.t.Fatal(err)
				}
			}
			packets = append(packets, pkt)
		}
	}
	if c.lose {
		packets = nil
	}
	time.AfterFunc(20*time.Millisecond, func() {
		for _, pkt := range packets {
			c.VideoRTP(pkt, time.Now())
		}
	})
	c.n++
	for range 3 {
		time.Sleep(11 * time.Millisecond)
		c.NextAudio() // the bridge's Tick, more or less
		synctest.Wait()
	}
}

// luma of picture n: one step is more than codecs get wrong.
func (*caster) luma(n int) byte { return byte(20 + n%40*5) }

// play sends n pictures and returns the widths that were shown, each with how
// many pictures. Unless stops is true every picture must be shown when it comes.
func (c *caster) play(n int, stops bool) (widths []string) {
	c.t.Helper()
	last, count := 0, 0
	note := func() {
		if count > 0 {
			widths = append(widths, fmt.Sprintf("%d:%d", last, count))
		}
	}
	for range n {
		c.send()
		p := c.Picture()
		if p == nil {
			if !stops {
				c.t.Fatalf("picture %d: nothing is shown", c.n-1)
			}
			continue
		}
		// It has been 33 ms, and the path takes 20.
		want, got := int(c.luma(c.n-1)), int(p.Y[p.StrideY*p.Height/2+p.Width/2])
		if d := got - want; !stops && (d < -2 || d > 2) {
			c.t.Fatalf("picture %d: luma %d is shown, want %d", c.n-1, got, want)
		}
		if p.Width != last {
			note()
			last, count = p.Width, 0
		}
		count++
		p.Release()
	}
	note()
	return widths
}

func (c *caster) expect(what string, got []string, want ...string) {
	c.t.Helper()
	if !slices.Equal(got, want) {
		c.t.Errorf("%s: widths shown %v, want %v", what, got, want)
	}
}

var threeSizes = [][2]int{{80, 44}, {160, 88}, {320, 176}}

// TestSimulcast follows the size at which the picture is seen, without a gap.
func TestSimulcast(t *testing.T) {
	for _, codec := range []*codecs.Video{&vp8.VP8, &h264.H264} {
		t.Run(codec.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCaster(t, codec, threeSizes...)
				c.play(30, true) // nobody looks: the sizes are learnt
				if c.Picture() != nil || slices.Max(c.asked()) > 0 {
					t.Errorf("%v key frames asked for that nobody wants", c.asked())
				}
				c.WantVideo(80, 44)
				c.play(4, true)
				c.expect("a thumbnail", c.play(10, false), "80:10")
				if !slices.Equal(c.asked(), []int{1, 0, 0}) {
					t.Errorf("%v key frames asked for", c.asked())
				}
				// Asked for at once, the key frame comes with the next picture.
				c.WantVideo(320, 176)
				c.expect("speaks", c.play(30, false), "80:1", "320:29")
				c.WantVideo(150, 84)
				// The large layer is kept as small as it is seen.
				c.expect("has spoken", c.play(90, false), "150:62", "160:28")
				c.WantVideo(320, 176)
				c.play(10, false)
				c.WantVideo(80, 44)
				c.play(20, false)
				c.WantVideo(320, 176)
				c.expect("is quiet for a moment", c.play(90, false), "320:90")
				if !slices.Equal(c.asked(), []int{1, 1, 2}) {
					t.Errorf("%v key frames asked for", c.asked())
				}
				s := c.Stats().VideoIn
				if s.LayerChanges != 3 || s.NACKs != 0 || s.Lost != 0 || s.Packets != uint64(c.seq[0])+uint64(c.seq[1])+uint64(c.seq[2]) {
					t.Errorf("stats %+v, %v sent", s, c.seq)
				}
			})
		})
	}
}

// TestSimulcastLayerStops takes the next best, as long as it has to.
func TestSimulcastLayerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaster(t, &vp8.VP8, threeSizes...)
		c.WantVideo(320, 176)
		c.play(5, true)
		c.expect("at first", c.play(5, false), "320:5")
		c.off[2] = true
		if got := c.play(22, true); len(got) != 2 || got[1][:4] != "160:" {
			t.Errorf("widths shown %v after the largest has stopped", got)
		}
		c.expect("without the largest", c.play(30, false), "160:30")
		c.off[1] = true
		c.play(22, true)
		c.expect("with the smallest alone", c.play(30, false), "80:30")
		c.off[1], c.off[2] = false, false
		c.refresh(1) // as browsers do it
		c.refresh(2)
		c.expect("as it was", c.play(30, false), "320:30")
		if c.asked()[2] != 0 {
			t.Errorf("%d key frames asked for of the largest, which began with one", c.asked()[2])
		}
		c.off[0], c.off[1], c.off[2] = true, true, true
		c.play(60, true)
		if p := c.Picture(); p == nil || p.Width != 320 {
			t.Error("the last picture has gone with its source")
		} else {
			p.Release()
		}
	})
}

// TestSimulcastNoKeyFrame stays with what it has while a layer does not answer.
func TestSimulcastNoKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaster(t, &vp8.VP8, threeSizes...)
		c.WantVideo(80, 44)
		c.play(100, true)
		c.answer(2, false)
		c.WantVideo(320, 176)
		c.expect("no answer", c.play(90, false), "80:90")
		if n := c.asked()[2]; n < 4 || n > 7 {
			t.Errorf("asked %d times in 3 s", n)
		}
		c.answer(2, true)
		c.play(20, false)
		c.expect("an answer", c.play(10, false), "320:10")
	})
}

// TestSimulcastSizeMissed finds the layer that is large enough though nothing
// said so.
func TestSimulcastSizeMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaster(t, &vp8.VP8, threeSizes...)
		c.lose = true
		c.send()
		c.lose = false
		c.play(30, true)
		if c.Picture() != nil || slices.Max(c.asked()) > 0 {
			t.Errorf("%v key frames asked for that nobody wants", c.asked())
		}
		c.WantVideo(320, 176)
		c.play(5, true)
		if !slices.Equal(c.asked(), []int{1, 1, 1}) {
			t.Errorf("%v key frames asked for", c.asked())
		}
		c.expect("found", c.play(30, false), "320:30")
	})
}

// TestSimulcastLosses repairs the layer that is decoded and leaves the others.
func TestSimulcastLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaster(t, &vp8.VP8, threeSizes...)
		c.WantVideo(80, 44)
		c.play(100, true)
		c.seq[0], c.seq[1] = c.seq[0]+3, c.seq[1]+5
		c.play(5, true)
		for _, n := range feedback[*rtcp.TransportLayerNack](c.wire) {
			if n.MediaSSRC != ssrc(0) {
				t.Errorf("NACK %+v", n)
			}
		}
		c.play(60, true) // a second or two: reports
		lost := map[uint32]uint32{}
		for _, rr := range feedback[*rtcp.ReceiverReport](c.wire) {
			for _, b := range rr.Reports {
				lost[b.SSRC] = b.TotalLost
			}
		}
		if len(lost) != 3 || lost[ssrc(0)] != 3 || lost[ssrc(1)] != 5 || lost[ssrc(2)] != 0 {
			t.Errorf("packets lost by source %v", lost)
		}
		for _, remb := range feedback[*rtcp.ReceiverEstimatedMaximumBitrate](c.wire) {
			if len(remb.SSRCs) != 3 {
				t.Errorf("REMB %+v", remb)
			}
		}
		if s := c.Stats().VideoIn; s.NACKs == 0 || s.Lost != 8 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestSimulcastRenegotiated keeps sources that do not name themselves any more.
func TestSimulcastRenegotiated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaster(t, &vp8.VP8, threeSizes...)
		c.named = 10
		c.WantVideo(320, 176)
		c.play(10, true)
		c.SetVideo(c.video())
		c.expect("again", c.play(30, false), "320:30")
		v := c.video()
		v.Recv, v.Layers = false, nil
		c.SetVideo(v)
		c.SetVideo(c.video())
		c.play(4, true)
		c.expect("resumed", c.play(30, false), "320:30")
	})
}

// TestDemand tells a sender to send no more than is seen: late if it is less,
// at once if it is more.
func TestDemand(t *testing.T) {
	for _, layered := range []bool{true, false} {
		t.Run(fmt.Sprint("layered ", layered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				p := newPort(t, nil)
				v := screen(w, "VP8")
				patience, name := 30, ""
				if layered {
					patience, name = 5, "q"
					v.LayerExt, v.Layers = ridExt, []port.Layer{{RID: "q"}, {RID: "f"}}
				}
				p.SetVideo(v)
				pkt := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SSRC: 9}, Payload: make([]byte, 1000)}
				if err := pkt.SetExtension(ridExt, []byte(name)); err != nil {
					t.Fatal(err)
				}
				told := func(width, height, seconds int) int {
					p.WantVideo(width, height)
					for range seconds * 100 {
						pkt.SequenceNumber++
						p.VideoRTP(pkt, time.Now())
						time.Sleep(10 * time.Millisecond)
					}
					all := feedback[*rtcp.ReceiverEstimatedMaximumBitrate](w)
					return int(all[len(all)-1].Bitrate) / 1000
				}
				if got := told(1280, 720, 3); got < 2900 {
					t.Errorf("%d kbit/s for a large picture", got)
				}
				if got := told(320, 180, patience-2); got < 2900 {
					t.Errorf("%d kbit/s though the picture may become large again", got)
				}
				if got := told(320, 180, 5); got < 250 || got > 450 {
					t.Errorf("%d kbit/s for a thumbnail", got)
				}
				if got := told(640, 360, 0); got < 850 || got > 1300 {
					t.Errorf("%d kbit/s at once for a larger picture", got)
				}
				if got := told(1280, 720, 0); got < 2900 {
					t.Errorf("%d kbit/s at once for a large picture again", got)
				}
				if got := told(0, 0, patience+3); got > 450 {
					t.Errorf("%d kbit/s for what nobody sees", got)
				}
			})
		})
	}
}

// TestSimulcastNotTaken is about a peer that sends one stream after all.
func TestSimulcastNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaster(t, &vp8.VP8, threeSizes...)
		c.named = 0
		c.off[0], c.off[2] = true, true
		c.WantVideo(320, 176)
		c.play(4, true)
		c.expect("one stream", c.play(30, false), "160:30")
	})
}

// TestUnselectedLayerCosts no memory, and hardly any time.
func TestUnselectedLayerCosts(t *testing.T) {
	p, send := unselected(t)
	defer p.Close()
	if n := testing.AllocsPerRun(1000, send); n != 0 {
		t.Errorf("%v allocations per packet, want 0", n)
	}
}

func BenchmarkUnselectedLayer(b *testing.B) {
	p, send := unselected(b)
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}

func unselected(tb testing.TB) (p *port.Port, send func()) {
	p = port.New(port.Config{})
	v := screen(nil, "")
	v.Out, v.LayerExt, v.Layers = null{}, ridExt, []port.Layer{{RID: "q", Width: 320, Height: 180}, {RID: "f", Width: 1280, Height: 720}}
	p.SetVideo(v)
	p.WantVideo(320, 180)
	packet := func(name string, ssrc uint32) *rtp.Packet {
		pkt := &rtp.Packet{
			Header:  rtp.Header{Version: 2, PayloadType: 97, SSRC: ssrc, Marker: true},
			Payload: append([]byte{0x10, 0x01}, make([]byte, 1000)...),
		}
		if err := pkt.SetExtension(ridExt, []byte(name)); err != nil {
			tb.Fatal(err)
		}
		return pkt
	}
	p.VideoRTP(packet("q", 100), time.Now())
	big := packet("f", 101)
	return p, func() {
		big.SequenceNumber++
		big.Timestamp += 3000
		p.VideoRTP(big, time.Now())
	}
}

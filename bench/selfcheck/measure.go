package selfcheck

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/mix"
	"github.com/skybridge-media/skybridge/media/tone"
)

const (
	fps         = 30
	ticks       = 50   // of audio, per second
	voices      = 4    // that are mixed
	packetBytes = 1150 // of payload: what fits everywhere

	// engine is what the server spends on a packet of media, from socket to
	// socket, in terms of the system calls alone: waking up for it, RTP, RTCP,
	// jitter buffer, bridge. Found with a room of 100 of whom few are heard: a
	// listener (PCMU, both ways) takes 0.54 ms per second, its system calls 0.17 ms.
	engine = 3.5

	// cold is by how much codecs of sound are dearer in calls than one after the
	// other: they run every 20 ms, and find their caches full of others' things.
	// Found with rooms of 8 who all talk: 6.3 ms per second and call.
	cold = 1.4

	warmUp   = 5  // pictures that are not counted: caches, and rate control finds its level
	pictures = 25 // that are
	sounds   = 100
)

// format is a size of pictures with the bitrate that goes with it.
type format struct{ width, height, bitrate int }

// measure runs one direction of a call after the other, for as many pictures
// as a second has, nearly.
func (v *Video) measure(ctx context.Context, w *wire, f format) error {
	enc, err := h264.H264.NewEncoder(codecs.VideoOptions{Width: f.width, Height: f.height, FrameRate: fps, Bitrate: f.bitrate})
	if err != nil {
		return err
	}
	defer enc.Close()
	dec, err := h264.H264.NewDecoder()
	if err != nil {
		return err
	}
	defer dec.Close()
	scene, camera, canvas := newScene(), yuv.New(f.width, f.height), newCanvas(f.width, f.height)
	var unit []byte
	var decode, encode time.Duration
	bytes := 0
	for i := range warmUp + pictures {
		if err := ctx.Err(); err != nil {
			return err
		}
		scene.draw(camera, i)
		start := cpuTime()
		canvas.compose()
		unit, _, err = enc.Encode(unit[:0], camera, i == 0)
		encoded := cpuTime()
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		if len(unit) > 0 { // else the rate control has dropped it
			pic, err := dec.Decode(unit)
			if err != nil {
				return fmt.Errorf("decode: %w", err)
			}
			if pic != nil {
				canvas.take(pic)
			}
		}
		decoded := cpuTime()
		if i >= warmUp {
			encode += encoded - start
			decode += decoded - encoded
			bytes += len(unit)
		}
	}
	each, err := w.cost(packetBytes)
	if err != nil {
		return err
	}
	// Pictures end in the middle of a packet: half a one more for each.
	packets := float64(max(bytes, f.bitrate/8*pictures/fps))/packetBytes + pictures/2.0
	v.Encode = encode.Seconds() * fps / pictures
	v.Decode = decode.Seconds() * fps / pictures
	v.Packets = packets * each * engine * fps / pictures
	return nil
}

// A canvas is what a call sees in the layout 1+7: one large tile and seven
// small ones. Sources are scaled once per size and copied onto each canvas.
type canvas struct{ picture, large, small *yuv.Picture }

func newCanvas(width, height int) *canvas {
	return &canvas{yuv.New(width, height), yuv.New(width*3/4&^1, height*3/4&^1), yuv.New(width/4&^1, height/4&^1)}
}

// take scales a decoded picture for all canvases.
func (c *canvas) take(pic *yuv.Picture) {
	yuv.Scale(c.large, pic)
	yuv.Scale(c.small, pic)
}

// compose fills the canvas.
func (c *canvas) compose() {
	w, h := c.small.Width, c.small.Height
	large := c.picture.Window(0, 0, c.large.Width, c.large.Height)
	yuv.Copy(&large, c.large)
	for i := range 4 {
		bottom := c.picture.Window(i*w, c.picture.Height-h, w, h)
		yuv.Copy(&bottom, c.small)
		if i < 3 {
			right := c.picture.Window(c.picture.Width-w, i*h, w, h)
			yuv.Copy(&right, c.small)
		}
	}
}

// measure runs the sound of a call that is heard by others.
func (a *Audio) measure(ctx context.Context, w *wire) error {
	enc, err := opus.Mono.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		return err
	}
	defer enc.Close()
	dec, err := opus.Mono.NewDecoder()
	if err != nil {
		return err
	}
	defer dec.Close()
	n := opus.Mono.Format.Samples20()
	speech, spoken := tone.NewSpeech(opus.Rate, 1), make(pcm.Frame, n)
	sum, limiter, own := mix.NewSum(n), mix.Limiter{}, make(pcm.Frame, n)
	heard := make(pcm.Frame, 0, n)
	var packet []byte
	var spent time.Duration
	bytes := 0
	for i := range warmUp + sounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		speech.Read(spoken)
		if packet, err = enc.Encode(packet[:0], spoken); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		sum.Reset()
		for range voices - 1 {
			sum.Add(spoken)
		}
		start := cpuTime()
		if heard, err = dec.Decode(heard[:0], packet); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		sum.Add(heard)
		sum.Without(own, heard, &limiter)
		if packet, err = enc.Encode(packet[:0], own); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		if i >= warmUp {
			spent += cpuTime() - start
			bytes += len(packet)
		}
	}
	each, err := w.cost(max(20, bytes/sounds))
	if err != nil {
		return err
	}
	a.Codec = spent.Seconds() * ticks / sounds * cold
	a.Packets = each * engine * ticks
	return nil
}

// A wire is two sockets of this machine. What it costs the system to carry a
// packet from one to the other is spent in the thread that sends it.
type wire struct{ from, to *net.UDPConn }

func newWire() (*wire, error) {
	to, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("self-check: %w", err)
	}
	from, err := net.DialUDP("udp4", nil, to.LocalAddr().(*net.UDPAddr))
	if err != nil {
		_ = to.Close()
		return nil, fmt.Errorf("self-check: %w", err)
	}
	return &wire{from, to}, nil
}

func (w *wire) close() {
	_ = w.from.Close() // nothing was promised to anybody
	_ = w.to.Close()
}

// cost is the CPU time, in seconds, of the system calls that receive a packet
// and send one.
func (w *wire) cost(size int) (float64, error) {
	const packets = 500
	buf := make([]byte, size+12) // and the RTP header
	if err := w.to.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	start := cpuTime()
	for range packets {
		if _, err := w.from.Write(buf); err != nil {
			return 0, err
		}
		if _, err := w.to.Read(buf); err != nil {
			return 0, err
		}
	}
	return (cpuTime() - start).Seconds() / packets, nil
}

package main

import (
	"context"
	"fmt"
	"image/color"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/tone"
)

// limited is c as video has it: BT.601, limited range.
func limited(c color.RGBA) yuv.Color {
	y, u, v := color.RGBToYCbCr(c.R, c.G, c.B)
	return yuv.Color{Y: byte(16 + int(y)*219/255), U: byte(128 + (int(u)-128)*224/255), V: byte(128 + (int(v)-128)*224/255)}
}

// dialColour lets a SIP caller with a tone and a colour into room.
func dialColour(t *testing.T, p *program, room, name string, hz float64, c color.RGBA) *ear {
	t.Helper()
	gen, e := tone.New(48000, -20, hz), &ear{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call, err := caller.DialSIP(ctx, netip.MustParseAddrPort(p.SIP), room, caller.Config{
		Name: name, Audio: &g722.G722, Sound: gen.Read, Heard: e.hear, Video: &vp8.VP8, Draw: caller.Solid(limited(c)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = call.Close() })
	return e
}

// TestInfinity lets @pexip/infinity, unmodified, in a real browser, do in a room
// with a SIP caller what applications do with it.
func TestInfinity(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox", "node", "npm")
	p := startProgram(t, "serve", "--adhoc", "--adhoc-layout", "2x2", "--rtp-ports", "44000-44999")
	elsewhere := startProgram(t, "serve", "--adhoc", "--rtp-ports", "43000-43999")
	red, blue := color.RGBA{200, 30, 30, 255}, color.RGBA{30, 50, 200, 255}
	const room, pageHz, phoneHz = "library", 1100, 500
	phone := dialColour(t, p, room, "phone", phoneHz, red)
	c := openInfinity(t, p, hex(blue), pageHz)
	ringer := endpoint{name: "phone", hz: phoneHz, color: red}
	page := endpoint{"page", pageHz, blue, c.heard, c.seen}
	both := func(situation string, audible, visible []endpoint) {
		t.Helper()
		expect(t, situation, []endpoint{page}, audible, visible, tilesOf(t, "2x2")[:1])
	}

	// It joins, and is told who is there.
	if got := js[int](t, c.chromium, `join({conferenceAlias: `+quote(room)+`})`); got != http.StatusOK {
		t.Fatalf("request_token: %d", got)
	}
	c.wants(t, "", `last("onParticipants")?.participants.some((p) => p.displayName === "phone")`,
		`told.onCallConnected.length > 0`, `document.getElementById("far").videoWidth > 0`,
		`last("onMe")?.participant.isHost && find("page").callType === "video"`,
		`find("phone").protocol === "sip" && find("phone").hasMedia`)
	both("joined", []endpoint{ringer}, []endpoint{ringer})
	phone.hears(t, pageHz, true)
	operator := newSeat(t, p, room)
	ids := operator.participants(t, 3)
	at := func(name string) string { return "participants/" + ids[name] + "/" }

	// It mutes another, and is muted.
	c.wants(t, `client.mute({mute: true, participantUuid: find("phone").uuid})`, `find("phone").isMuted`)
	both("the phone is muted", nil, []endpoint{ringer})
	c.wants(t, `client.mute({mute: false, participantUuid: find("phone").uuid})`, `!find("phone").isMuted`)
	both("the phone is heard again", []endpoint{ringer}, []endpoint{ringer})
	operator.post(t, at("page")+"mute", nil)
	c.wants(t, "", `last("onMyselfMuted") === true`)
	phone.hears(t, pageHz, false)
	c.wants(t, `client.mute({mute: false})`, `last("onMyselfMuted") === false`)
	phone.hears(t, pageHz, true)
	c.wants(t, `client.clientMute({mute: true})`, `find("page").isClientMuted`)
	c.wants(t, `client.clientMute({mute: false})`, `!find("page").isClientMuted`)
	c.wants(t, `client.muteVideo({muteVideo: true, participantUuid: find("phone").uuid})`, `find("phone").isCameraMuted`)
	both("the phone is hidden", []endpoint{ringer}, nil)
	c.wants(t, `client.muteVideo({muteVideo: false, participantUuid: find("phone").uuid})`, `!find("phone").isCameraMuted`)
	both("the phone is seen again", []endpoint{ringer}, []endpoint{ringer})
	c.wants(t, `client.muteAllGuests({mute: true})`)
	c.wants(t, `client.muteAllGuests({mute: false})`)

	// It changes the layout.
	c.wants(t, `client.availableLayouts({}).then((r) => { window.layouts = r; })`, `layouts.includes("9:0")`)
	c.wants(t, `client.layoutSvgs({}).then((r) => { window.svgs = r; })`, `layouts.every((l) => svgs[l].startsWith("<svg "))`)
	c.wants(t, `client.setLayout({transforms: {layout: "9:0"}})`, `last("onRequestedLayout")?.primaryScreen.hostLayout === "9:0"`)
	expect(t, "3x3", []endpoint{page}, []endpoint{ringer}, []endpoint{ringer}, tilesOf(t, "3x3")[:1])
	c.wants(t, `client.setLayout({transforms: {layout: "4:0"}})`, `last("onRequestedLayout")?.primaryScreen.hostLayout === "4:0"`)

	// Hands and the spotlight.
	c.wants(t, `client.raiseHand({raise: true})`, `find("page").raisedHand`)
	c.wants(t, `client.raiseHand({raise: false})`, `!find("page").raisedHand`)
	operator.post(t, at("operator")+"buzz", nil)
	c.wants(t, "", `told.onRaiseHand.some(({participant: p}) => p.displayName === "operator" && p.raisedHand)`)
	c.wants(t, `client.lowerAllRaisedHands({})`, `!find("operator").raisedHand`)
	c.wants(t, `client.spotlight({enable: true, participantUuid: find("phone").uuid})`, `find("phone").isSpotlight`)
	c.wants(t, `client.spotlight({enable: false, participantUuid: find("phone").uuid})`, `!find("phone").isSpotlight`)
	c.wants(t, `client.setRole({role: "guest", participantUuid: find("operator").uuid})`, `!find("operator").isHost`)
	c.wants(t, `client.setRole({role: "chair", participantUuid: find("operator").uuid})`, `find("operator").isHost`)

	// It presses keys.
	keys := p.metric(t, `skybridge_participant_digits_total{source="signalling"}`)
	c.wants(t, `client.sendDTMF({digits: "12#"})`)
	eventually(t, 5*time.Second, func() error {
		if got := p.metric(t, `skybridge_participant_digits_total{source="signalling"}`) - keys; got != 3 {
			return fmt.Errorf("%v keys were pressed, want 3", got)
		}
		return nil
	})

	// It calls somebody in, and throws them out.
	dial(t, elsewhere, "annex", "guest", 1400)
	c.wants(t, fmt.Sprintf(`client.dial({role: "GUEST", destination: "sip:annex@%s", protocol: "sip", remote_display_name: "annex"}).then((r) => { window.dialled = r.data.result[0]; })`, elsewhere.SIP),
		`find("annex")?.uuid === dialled && find("annex").hasMedia && !find("annex").isHost`)
	far := endpoint{name: "annex", hz: 1400}
	both("with the annex", []endpoint{ringer, far}, []endpoint{ringer})
	c.wants(t, `client.kick({participantUuid: dialled})`, `told.onParticipantLeft.some(({participant}) => participant.uuid === dialled)`)
	both("without the annex", []endpoint{ringer}, []endpoint{ringer})

	// It renegotiates, and media goes on both ways.
	renegotiates(t, c, func(how string) {
		operator.post(t, at("page")+"mute", nil)
		phone.hears(t, pageHz, false)
		operator.post(t, at("page")+"unmute", nil)
		phone.hears(t, pageHz, true)
		both(how, []endpoint{ringer}, []endpoint{ringer})
	})

	// It loses everything it has open, and comes back.
	syncs := js[int](t, c.chromium, `told.onParticipants.length`)
	c.origin.CloseClientConnections()
	c.wants(t, "", fmt.Sprintf(`told.onParticipants.length > %d && last("onParticipants").participants.length === 3`, syncs))

	// It locks the room, and learns what others learn.
	c.wants(t, `client.lock({lock: true})`, `client.conferenceStatus.get("main").locked`)
	c.wants(t, `client.lock({lock: false})`, `!client.conferenceStatus.get("main").locked`)

	// It is thrown out, and is told why.
	c.wants(t, "", `told.onDisconnected.length === 0`)
	operator.post(t, at("page")+"disconnect", nil)
	c.wants(t, "", `last("onDisconnected")?.error === "Disconnected by another participant" && last("onDisconnected").errorCode === "#pex124"`)
	operator.participants(t, 2)

	// It comes back, without a picture of its own, and leaves.
	if got := js[int](t, c.chromium, `join({conferenceAlias: `+quote(room)+`, callType: infinity.ClientCallType.Audio})`); got != http.StatusOK {
		t.Fatalf("request_token: %d", got)
	}
	c.wants(t, "", `find("page")?.callType === "audio" && find("page").hasMedia`)
	phone.hears(t, pageHz, true)
	c.wants(t, `client.disconnect({reason: "User initiated disconnect"})`)
	operator.participants(t, 2)

	// It is closed without a word.
	if got := js[int](t, c.chromium, `join({conferenceAlias: `+quote(room)+`})`); got != http.StatusOK {
		t.Fatalf("request_token: %d", got)
	}
	c.wants(t, "", `find("page")?.hasMedia`)
	c.contented(t, "403 release_token") // it releases the token of a seat that it was told is gone
	c.wants(t, `client.disconnect({reason: "Browser closed"})`)
	wantRoster(t, 4*time.Second, room, "phone operator", p)
}

// TestInfinityElsewhere lets the library call where there is no media, and then
// where it is told to.
func TestInfinityElsewhere(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox", "node", "npm")
	front, media := startCluster(t)
	c := openInfinity(t, front, "#1e32c8", 1100)
	if got := js[int](t, c.chromium, `join({conferenceAlias: "far"})`); got != http.StatusServiceUnavailable {
		t.Errorf("request_token: %d, want 503", got)
	}
	// The library leaves out what it does not know of an answer; the text is known.
	const there = `last("onError").error.match(/https:\S+/)[0]`
	if got := js[string](t, c.chromium, there); got != media.Web {
		t.Fatalf("the other node is %q, want %s", got, media.Web)
	}
	if got := js[int](t, c.chromium, `join({conferenceAlias: "far", host: `+there+`})`); got != http.StatusOK {
		t.Errorf("request_token: %d", got)
	}
	c.wants(t, "", `find("page")?.hasMedia`)
	c.contented(t, "503 request_token")
}

// TestInfinityRestart lets the library lose its server, and find another one that
// does not know it.
func TestInfinityRestart(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox", "node", "npm")
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "44000-44999")
	c := openInfinity(t, p, "#1e32c8", 1100)
	if got := js[int](t, c.chromium, `join({conferenceAlias: "gone"})`); got != http.StatusOK {
		t.Fatalf("request_token: %d", got)
	}
	c.wants(t, "", `find("page")?.hasMedia`)
	_ = p.cmd.Process.Kill()
	<-p.done
	c.origin.point(t, startProgram(t, "serve", "--adhoc", "--rtp-ports", "43000-43999"))
	c.wants(t, "", `last("onDisconnected")?.error === "Call disconnected" && last("onDisconnected").errorCode === "#pex151"`)
	if got := js[int](t, c.chromium, `join({conferenceAlias: "gone"})`); got != http.StatusOK {
		t.Fatalf("request_token: %d", got)
	}
	c.wants(t, "", `find("page")?.hasMedia`)
}

// renegotiates lets the page negotiate anew in all ways that it has.
func renegotiates(t *testing.T, c *infinityPage, check func(how string)) {
	t.Helper()
	const stream = `navigator.mediaDevices.getUserMedia({audio: true, video: {width: 640, height: 360}}).then((s) => { window.near = s; return client.setStream(s); })`
	for _, way := range []struct{ how, action string }{
		{"restarts ICE", `connections.at(-1).restartIce()`},
		{"wants less", `client.setBandwidth(500)`},
		{"has another camera", stream},
		{"begins anew", `client.restartCall({mediaStream: near, bandwidth: 1500, callType: infinity.ClientCallType.AudioVideoPresentation})`},
		{"and another camera", stream},
	} {
		acks := `answers.filter((a) => a.startsWith("200") && a.endsWith("/ack")).length`
		before := js[int](t, c.chromium, acks)
		c.wants(t, way.action, fmt.Sprintf(`%s > %d`, acks, before),
			`connections.at(-1).connectionState === "connected" && connections.at(-1).signalingState === "stable"`)
		check(way.how)
	}
}

// contented wants the library to have complained of nothing, and its requests to
// have succeeded: all but those listed.
func (c *infinityPage) contented(t *testing.T, refused ...string) {
	t.Helper()
	got := js[[]string](t, c.chromium, `answers`)
	got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "20") })
	if !slices.Equal(got, refused) {
		t.Errorf("refused were %q, want %q", got, refused)
	}
	for _, s := range js[[]string](t, c.chromium, `complaints`) {
		if !strings.Contains(s, "without any observer") { // its own business
			t.Errorf("complained: %s", s)
		}
	}
}

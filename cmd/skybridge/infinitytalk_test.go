package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// tells waits for an event of that name with all of want.
func tells(t *testing.T, events <-chan serverEvent, name string, want map[string]any) {
	t.Helper()
	for {
		got := await(t, events, name)
		same := true
		for k, v := range want {
			same = same && got[k] == v
		}
		if same {
			return
		}
	}
}

// TestInfinityTalks lets the library chat, and have the floor.
func TestInfinityTalks(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox", "node", "npm")
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "44000-44999")
	c := openInfinity(t, p, "#1e32c8", 1100)
	operator := newSeat(t, p, "talk")
	events := operator.listen(t)
	if got := js[int](t, c.chromium, `join({conferenceAlias: "talk", supportsDirectChat: true})`); got != http.StatusOK {
		t.Fatalf("request_token: %d", got)
	}
	c.wants(t, "", `find("page")?.hasMedia && find("page").supportsDirectChat && client.conferenceFeatureFlags.chatEnabled`)
	ids := operator.participants(t, 2)
	to := func(name, what string) string { return "participants/" + ids[name] + "/" + what }

	// Chat, with everybody and with one.
	c.wants(t, `client.sendMessage({payload: "good day"})`)
	tells(t, events, "message_received", map[string]any{"origin": "page", "payload": "good day", "type": "text/plain", "direct": false})
	operator.post(t, "message", map[string]any{"type": "text/plain", "payload": "hello"})
	c.wants(t, "", `last("onMessage")?.message === "hello" && last("onMessage").displayName === "operator" && !last("onMessage").direct`)
	operator.post(t, to("page", "message"), map[string]any{"type": "text/plain", "payload": "psst"})
	c.wants(t, "", `last("onMessage").message === "psst" && last("onMessage").direct`)
	c.wants(t, `client.sendMessage({payload: "what?", participantUuid: find("operator").uuid})`)
	tells(t, events, "message_received", map[string]any{"payload": "what?", "direct": true})
	c.wants(t, `client.sendApplicationMessage({payload: {poll: [1, 2]}})`)
	tells(t, events, "message_received", map[string]any{"type": "application/json"})
	operator.post(t, "message", map[string]any{"type": "application/json", "payload": `{"poll":3}`})
	c.wants(t, "", `last("onApplicationMessage")?.message.poll === 3`, `told.onMessage.length === 2`) // and nothing of its own

	// It has the floor until a host takes it.
	const state = `last("onPresentationConnectionChange")`
	floor := func(action, send, recv string, conditions ...string) {
		t.Helper()
		c.wants(t, action, append(conditions, state+`?.send === `+quote(send)+` && `+state+`.recv === `+quote(recv))...)
		c.wants(t, "", `connections.at(-1).signalingState === "stable"`)
	}
	floor(`client.present(picture("#0c0"))`, "connected", "disconnected", `find("page").isPresenting`)
	tells(t, events, "presentation_start", map[string]any{"presenter_uuid": ids["page"]})
	floor(`client.stopPresenting()`, "disconnected", "disconnected", `!find("page").isPresenting`)
	tells(t, events, "presentation_stop", nil)
	floor(`client.present(picture("#0c0"))`, "connected", "disconnected", `find("page").isPresenting`)
	operator.post(t, to("operator", "take_floor"), nil)
	floor("", "disconnected", "connected", `find("operator").isPresenting && !find("page").isPresenting`)
	operator.post(t, to("operator", "release_floor"), nil)
	floor("", "disconnected", "disconnected", `!find("operator").isPresenting`)
	operator.post(t, to("operator", "take_floor"), nil)
	floor("", "disconnected", "connected", `find("operator").isPresenting`)
	floor(`client.present(picture("#0c0"))`, "connected", "disconnected", `find("page").isPresenting && !find("operator").isPresenting`)
	c.contented(t)
}

// pinRooms is a configuration with a room that asks everybody for a PIN, and one
// that asks hosts.
func pinRooms(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "skybridge.yaml")
	const rooms = `rooms:
  - name: board
    host-pin: 1234
    guest-pin: 0042
  - name: hall
    host-pin: 1234
    allow-guests: true
`
	if err := os.WriteFile(file, []byte(rooms), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestInfinityPIN lets the library in as a guest and as a host.
func TestInfinityPIN(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox", "node", "npm")
	p := startProgram(t, "serve", "--config", pinRooms(t), "--rtp-ports", "44000-44999")
	c := openInfinity(t, p, "#1e32c8", 1100)
	join := func(params string, code int, conditions ...string) {
		t.Helper()
		if got := js[int](t, c.chromium, "join("+params+")"); got != code {
			t.Fatalf("%s: request_token: %d, want %d", params, got, code)
		}
		c.wants(t, "", conditions...)
	}
	leave := func() {
		t.Helper()
		c.wants(t, `client.disconnect({reason: "User initiated disconnect"})`)
	}

	join(`{conferenceAlias: "board"}`, http.StatusForbidden, `last("onPinRequired").hasHostPin && last("onPinRequired").hasGuestPin`)
	join(`{conferenceAlias: "board", pin: "4711"}`, http.StatusForbidden, `last("onError").error === "Invalid PIN" && last("onError").errorCode === "#pex101"`)
	join(`{conferenceAlias: "board", pin: "none"}`, http.StatusForbidden, `told.onPinRequired.length === 2`)
	join(`{conferenceAlias: "board", pin: "0042"}`, http.StatusOK, `find("page")?.hasMedia && !find("page").isHost && !last("onMe").participant.canControl`)
	c.wants(t, `client.lock({lock: true}).then(() => { throw "a guest has locked the room"; }, () => {})`)
	leave()
	join(`{conferenceAlias: "board", pin: "1234"}`, http.StatusOK, `find("page")?.hasMedia && find("page").isHost && last("onMe").participant.canControl`)
	c.wants(t, `client.lock({lock: true})`, `client.conferenceStatus.get("main").locked`)
	leave()

	join(`{conferenceAlias: "hall"}`, http.StatusForbidden, `last("onPinRequired").hasHostPin && !last("onPinRequired").hasGuestPin`)
	join(`{conferenceAlias: "hall", pin: "none"}`, http.StatusOK, `find("page")?.hasMedia && !find("page").isHost`)
	leave()
}

// TestInfinityPresents lets two of the library's clients present to each other.
func TestInfinityPresents(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox", "node", "npm")
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "44000-44999")
	c := openInfinity(t, p, "#202020", 1100)
	c.wants(t, `open().then((w) => { window.bob = w; })`)
	join := func(who, name string) {
		t.Helper()
		if got := js[int](t, c.chromium, who+`.join({conferenceAlias: "slides", displayName: `+quote(name)+`})`); got != http.StatusOK {
			t.Fatalf("%s: request_token: %d", name, got)
		}
		c.wants(t, "", who+`.find(`+quote(name)+`)?.hasMedia`)
	}
	join("window", "ada")
	join("bob", "bob")

	const ada, bobs = `last("onPresentationConnectionChange")`, `bob.last("onPresentationConnectionChange")`
	c.wants(t, `client.present(picture("#c00", "#0c0", "#00c"))`, ada+`?.send === "connected"`, bobs+`?.recv === "connected"`, `bob.presented() === "r g b"`)
	c.wants(t, "", `bob.find("ada").isPresenting`)

	// Renegotiating in between changes nothing.
	c.wants(t, `connections.at(-1).restartIce()`)
	c.wants(t, `bob.connections.at(-1).restartIce()`)

	// The other one takes over, and stops.
	c.wants(t, `bob.client.present(bob.picture("#cc0", "#0cc", "#c0c"))`, bobs+`.send === "connected"`, ada+`.recv === "connected"`, ada+`.send === "disconnected"`,
		`presented() === "rg gb rb"`, `find("bob").isPresenting && !find("ada").isPresenting`)
	c.wants(t, `bob.client.stopPresenting()`, bobs+`.send === "disconnected"`, ada+`.recv === "disconnected"`)

	// The first one presents something else.
	c.wants(t, `client.present(picture("#00c", "#0c0", "#c00"))`, bobs+`.recv === "connected"`, `bob.presented() === "b g r"`)

	// Who comes later sees it, too.
	c.wants(t, `bob.client.disconnect({reason: "User initiated disconnect"})`)
	c.wants(t, `bob.document.getElementById("slides").srcObject = null`, `bob.presented() === "nothing"`)
	join("bob", "late")
	c.wants(t, "", bobs+`.recv === "connected"`, `bob.presented() === "b g r"`)
	c.contented(t)
}

// TestInfinityWaits lets a guest wait, for the conference to start and for a
// locked one to let it in.
func TestInfinityWaits(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox", "node", "npm")
	p := startProgram(t, "serve", "--config", pinRooms(t), "--rtp-ports", "44000-44999")
	c := openInfinity(t, p, "#202020", 1100)
	c.wants(t, `open().then((w) => { window.bob = w; })`)
	join := func(who, name, pin string, conditions ...string) {
		t.Helper()
		if got := js[int](t, c.chromium, who+`.join({conferenceAlias: "hall", displayName: `+quote(name)+`, pin: `+quote(pin)+`})`); got != http.StatusOK {
			t.Fatalf("%s: request_token: %d", name, got)
		}
		c.wants(t, "", conditions...)
	}
	const waits = `bob.client.serviceType === "waiting_room" && bob.find("bob")?.isWaiting && bob.client.getParticipants("main").length === 1`
	const inside = `bob.client.serviceType === "conference" && !bob.find("bob").isWaiting && bob.find("ada")?.isHost && !find("bob").isWaiting`

	join("bob", "bob", "none", waits, `bob.told.onCallConnected.length > 0`)
	join("window", "ada", "1234", `find("ada")?.hasMedia`, inside) // a host that has media starts the conference
	c.wants(t, `client.startConference({})`)
	c.wants(t, `client.lock({lock: true})`, `bob.client.conferenceStatus.get("main").locked`)

	again := func() {
		t.Helper()
		c.wants(t, `bob.client.disconnect({reason: "User initiated disconnect"})`, `!find("bob")`)
		join("bob", "bob", "none", waits, `find("bob")?.isWaiting`)
	}
	again()
	c.wants(t, `client.admit({participantUuid: find("bob").uuid})`, inside)
	again()
	c.wants(t, `client.kick({participantUuid: find("bob").uuid})`, `bob.last("onDisconnected")?.errorCode === "#pex124"`)
	c.contented(t)
}

package conference_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cockroachdb/datadriven"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/bus"
)

// TestScenario plays the conversations in testdata/scenario. Each command is
// followed by everything that left the conference because of it. After a change
// that is meant to alter behaviour, run with -rewrite and review the diff.
func TestScenario(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		actortest.Run(t, func(b *actortest.Bench) {
			s := &stage{Bench: b, cast: map[string]*actor.PID{}}
			datadriven.RunTest(b.T, path, s.play)
			for _, pid := range s.cast {
				b.System.Root.Stop(pid)
			}
		})
	})
}

// stage has a conference on it, with other actors that say what they receive.
type stage struct {
	*actortest.Bench
	conference *actor.PID
	cast       map[string]*actor.PID // by name: participants, subscribers, nodes, transcoders
	events     actortest.Events
	other      *actortest.Elsewhere // node n2

	mu    sync.Mutex
	heard []string
	deaf  bool // nodes refuse to open media
}

func (s *stage) play(t *testing.T, d *datadriven.TestData) string {
	var out strings.Builder
	id := ""
	if len(d.CmdArgs) > 0 && len(d.CmdArgs[0].Vals) == 0 {
		id = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "conference":
		s.open(d)
	case "join", "again":
		fmt.Fprintln(&out, s.join(d, id))
	case "update":
		s.Send(s.conference, &conference.Update{Participant: s.participant(d, id)})
	case "leave":
		reason := "hangup"
		if d.HasArg("moved") {
			reason = conference.ReasonMoved
		}
		s.ask(&out, &conference.Leave{Id: id, Reason: reason})
	case "kill":
		s.kill(id)
	case "lose":
		s.other.Lose()
	case "deaf":
		s.deaf = d.HasArg("on")
	case "mute":
		s.ask(&out, &conference.Mute{Id: everybody(id), On: !d.HasArg("off")})
	case "mutevideo":
		s.ask(&out, &conference.MuteVideo{Id: everybody(id), On: !d.HasArg("off")})
	case "lock":
		s.ask(&out, &conference.Lock{On: !d.HasArg("off")})
	case "layout":
		s.ask(&out, &conference.SetLayout{Layout: id})
	case "spotlight":
		s.ask(&out, &conference.Spotlight{Id: id, On: !d.HasArg("off")})
	case "hand":
		s.ask(&out, &conference.RaiseHand{Id: id, On: !d.HasArg("off")})
	case "floor":
		s.ask(&out, &conference.TakeFloor{Id: id, Force: d.HasArg("force")})
	case "release":
		s.ask(&out, &conference.ReleaseFloor{Id: everybody(id)})
	case "say":
		m := &conference.SendMessage{From: id, Type: "text/plain", Payload: "hello"}
		d.MaybeScanArgs(t, "to", &m.To)
		d.MaybeScanArgs(t, "type", &m.Type)
		d.MaybeScanArgs(t, "text", &m.Payload)
		if d.HasArg("long") {
			m.Payload = strings.Repeat("x", 8193)
		}
		s.ask(&out, m)
	case "camera":
		m := &conference.MoveCamera{From: id, Action: "start", Movements: []*conference.Movement{{Axis: "pan", Direction: "left"}}}
		d.MaybeScanArgs(t, "to", &m.To)
		d.MaybeScanArgs(t, "action", &m.Action)
		d.MaybeScanArgs(t, "axis", &m.Movements[0].Axis)
		s.ask(&out, m)
	case "overlay":
		m := &conference.SetOverlayText{Id: id}
		d.MaybeScanArgs(t, "text", &m.Text)
		if d.HasArg("long") {
			m.Text = strings.Repeat("x", 1025)
		}
		s.ask(&out, m)
	case "unmuting":
		s.ask(&out, &conference.SetGuestsCanUnmute{On: !d.HasArg("off")})
	case "transfer":
		s.ask(&out, &conference.Transfer{Id: id, Alias: "other", Role: conference.RoleGuest})
	case "letin":
		s.ask(&out, &conference.LetIn{Id: id})
	case "begin":
		s.ask(&out, &conference.Start{})
	case "role":
		s.ask(&out, &conference.SetRole{Id: id, Role: d.CmdArgs[1].Key})
	case "disconnect":
		s.ask(&out, &conference.Disconnect{Id: everybody(id), Reason: "said the host"})
	case "spoke":
		s.Send(s.conference, &conference.Spoke{Id: id})
	case "subscribe":
		s.ask(&out, &conference.Subscribe{Subscriber: conference.AddressOf(s.actor(id)), RosterOnly: d.HasArg("rosteronly")})
	case "unsubscribe":
		s.Send(s.conference, &conference.Unsubscribe{Subscriber: conference.AddressOf(s.actor(id))})
	case "adopt":
		s.Send(s.conference, &conference.Adopt{Epoch: 7})
	case "supersede":
		s.Send(s.conference, &conference.Supersede{})
	case "endifempty":
		s.Send(s.conference, &conference.EndIfEmpty{})
	case "resync":
		s.Send(s.conference, &conference.Resync{Address: id})
	case "rejoin":
		s.rejoin(&out, d)
	case "roster":
		r, err := actortest.Ask[*conference.Roster](s.Bench, s.conference, &conference.GetRoster{})
		fmt.Fprintln(&out, show(r), err)
	case "wait":
		dur, err := time.ParseDuration(id)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		time.Sleep(dur)
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	s.flush(&out)
	return out.String()
}

// open starts the conference. Its first argument, if any, is the limit.
func (s *stage) open(d *datadriven.TestData) {
	cfg := conference.Config{Name: "Stand-up", Linger: time.Minute}
	d.MaybeScanArgs(s.T, "limit", &cfg.Limit)
	if d.HasArg("hosted") {
		cfg.HostPIN, cfg.AllowGuests = "1234", true
	}
	cfg.OnlyHostsPresent = d.HasArg("onlyhosts")
	epoch := uint64(5)
	d.MaybeScanArgs(s.T, "epoch", &epoch)
	s.other = s.NewElsewhere("n2@b", func(to *actor.PID, msg any, sender *actor.PID) {
		s.hear("n2/"+to.Id, msg)
		if _, ok := msg.(*conference.OpenMedia); ok {
			s.openMedia(sender, s.other.PID("transcoder"))
		}
	})
	s.conference = s.Spawn(conference.Props(cfg, epoch, conference.Deps{
		Node: "n1", Log: slog.New(slog.DiscardHandler), Events: &s.events, Metrics: conference.NewMetrics(nil),
		Actors: actors.NewMetrics(nil), Placement: s,
	}), "conference")
}

// Media implements conference.Placement: this node, then n2.
func (s *stage) Media(prefer string, except []string) *actor.PID {
	for _, pid := range []*actor.PID{s.actor("node"), s.other.PID("node")} {
		if !slices.Contains(except, pid.Address) && (prefer == pid.Address || prefer == "" || len(except) > 0) {
			return pid
		}
	}
	return nil
}

func (s *stage) openMedia(asker, transcoder *actor.PID) {
	var reply any = &conference.MediaOpened{Transcoder: conference.AddressOf(transcoder)}
	if s.deaf {
		reply = conference.Refuse(conference.ErrNoMedia)
	}
	s.System.Root.Send(asker, reply)
}

// actor returns a member of the cast, who says what it hears.
func (s *stage) actor(name string) *actor.PID {
	s.mu.Lock()
	pid := s.cast[name]
	s.mu.Unlock()
	if pid != nil {
		return pid
	}
	pid, err := s.System.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case actor.AutoReceiveMessage, actor.SystemMessage:
		case *conference.OpenMedia:
			s.hear(name, m)
			s.openMedia(c.Sender(), s.actor("transcoder"))
		default:
			s.hear(name, m)
		}
	}), name)
	if err != nil {
		s.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cast[name] = pid
	return pid
}

func (s *stage) kill(name string) {
	s.System.Root.Stop(s.actor(name))
	s.Settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cast, name)
}

func (s *stage) participant(d *datadriven.TestData, id string) *conference.Participant {
	p := &conference.Participant{
		Id: id, Name: strings.ToUpper(id), Protocol: "sip", Audio: true, Video: !d.HasArg("novideo"),
		Held: d.HasArg("held"), State: conference.StateConnecting,
	}
	d.MaybeScanArgs(s.T, "name", &p.Name)
	p.DirectChat, p.Camera = d.HasArg("chats"), d.HasArg("camera")
	if d.HasArg("guest") {
		p.Role = conference.RoleGuest
	}
	if d.HasArg("viewer") {
		p.Role = conference.RoleViewer
	}
	p.Api = d.HasArg("api")
	if d.HasArg("waiting") {
		p.Waiting, p.JoinedUnixMs = conference.WaitLock, 1 // long ago
	}
	if d.HasArg("connected") {
		p.State = conference.StateConnected
	}
	if d.HasArg("n2") {
		p.Address = conference.AddressOf(s.other.PID(id))
	} else {
		p.Address = conference.AddressOf(s.actor(id))
	}
	return p
}

func (s *stage) join(d *datadriven.TestData, id string) string {
	m := &conference.Join{Participant: s.participant(d, id), Waits: d.HasArg("waits")}
	if d.Cmd == "again" {
		m.Epoch = 4
	}
	return s.result(m)
}

// rejoin brings a roster of two from a former owner. "elsewhere" says that the
// media is on n2.
func (s *stage) rejoin(out *strings.Builder, d *datadriven.TestData) {
	transcoder := s.actor("transcoder")
	if d.HasArg("elsewhere") {
		transcoder = s.other.PID("transcoder")
	}
	a, b := s.participant(d, "a"), s.participant(d, "b")
	a.AudioMuted, a.Role, a.JoinedUnixMs, a.State = true, conference.RoleHost, 1000, conference.StateConnected
	b.Role, b.JoinedUnixMs = conference.RoleGuest, 500
	if d.HasArg("waiting") { // not for so long that their time is over
		a.JoinedUnixMs, b.JoinedUnixMs = time.Now().UnixMilli(), time.Now().UnixMilli()
	}
	if d.HasArg("gone") {
		b.Address = &conference.Address{Node: "n3@c", Id: "b"}
	}
	s.ask(out, &conference.Rejoin{
		Transcoder: conference.AddressOf(transcoder),
		Last: &conference.Roster{
			Room: "Stand-up", Epoch: 4, Version: 99, Locked: true, Layout: "2x2", StartedUnixMs: 400, Presenter: "b", GuestsMuted: d.HasArg("hushed"),
			Conference: &conference.Address{Node: "n9@z", Id: "conference"}, Participants: []*conference.Participant{a, b},
		},
	})
}

func (s *stage) ask(out *strings.Builder, msg any) {
	if r := s.result(msg); r != "done" {
		fmt.Fprintln(out, r)
	}
}

func (s *stage) result(msg any) string {
	r, err := actortest.Ask[any](s.Bench, s.conference, msg)
	switch r := r.(type) {
	case nil:
		return fmt.Sprintf("refused: %v (%s)", err, bus.CodeOf(err))
	case *conference.Done:
		return "done"
	case *conference.Joined:
		if r.Waiting != "" {
			return fmt.Sprintf("joined, epoch %d, %s, waits for %s", r.Epoch, r.Transcoder.GetId(), r.Waiting)
		}
		return fmt.Sprintf("joined, epoch %d, %s", r.Epoch, r.Transcoder.GetId())
	case *conference.Elsewhere:
		return "elsewhere: " + r.Node
	case *conference.Roster:
		return show(r)
	default:
		return fmt.Sprintf("%T", r)
	}
}

func (s *stage) hear(who string, msg any) {
	text := fmt.Sprintf("%T", msg)
	switch m := msg.(type) {
	case *conference.Roster:
		text = show(m)
	case *conference.Message:
		text = fmt.Sprintf("message from %s (%s) to %q: %s %q", m.From, m.Name, m.To, m.Type, m.Payload)
	case *conference.MoveCamera:
		text = fmt.Sprintf("camera of %s moved by %s: %s %s %s", m.To, m.From, m.Action, m.Movements[0].Axis, m.Movements[0].Direction)
	case *conference.Transfer:
		text = fmt.Sprintf("%s transferred to %s as %s", m.Id, m.Alias, m.Role)
	case *conference.Dismiss:
		text = fmt.Sprintf("dismissed: %s, %s", m.Code, m.Text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, who+" hears "+text)
}

// flush says what has been published and heard since last asked.
func (s *stage) flush(out *strings.Builder) {
	for _, m := range s.Received() {
		switch m := m.(type) {
		case *conference.Ended:
			fmt.Fprintf(out, "to parent: ended %s, epoch %d\n", m.Room, m.Epoch)
			s.System.Root.Stop(s.conference)
			s.Settle()
		case *conference.Done:
		default:
			fmt.Fprintf(out, "to parent: %T\n", m)
		}
	}
	for _, e := range s.events.Take() {
		fmt.Fprintf(out, "published %s %+v\n", bus.KindOf(e), e)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.heard, func(a, b string) int {
		a, _, _ = strings.Cut(a, " ")
		b, _, _ = strings.Cut(b, " ")
		return strings.Compare(a, b)
	})
	for _, h := range s.heard {
		fmt.Fprintln(out, h)
	}
	s.heard = nil
}

func everybody(id string) string {
	if id == "all" {
		return ""
	}
	return id
}

// show is a roster in one line.
func show(r *conference.Roster) string {
	if r == nil {
		return "no roster"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "roster %d.%d %s media=%s", r.Epoch, r.Version, r.Layout, r.MediaNode)
	if r.Locked {
		b.WriteString(" locked")
	}
	if r.GuestsStayMuted {
		b.WriteString(" staymuted")
	}
	if r.WaitsForHost {
		b.WriteString(" hostless")
	}
	if r.Presenter != "" {
		b.WriteString(" presenter=" + r.Presenter)
	}
	for _, p := range r.Participants {
		fmt.Fprintf(&b, " [%s %s %s", p.Name, p.Role, p.State)
		for _, f := range []struct {
			on   bool
			name string
		}{
			{p.AudioMuted, "muted"},
			{p.VideoMuted, "unseen"},
			{p.Held, "held"},
			{p.Speaking, "speaking"},
			{p.Spotlight, "spotlight"},
			{p.HandRaised, "hand"},
			{p.OverlayText != "", "called " + p.OverlayText},
			{p.Waiting != "", "waits for " + p.Waiting},
		} {
			if f.on {
				b.WriteString(" " + f.name)
			}
		}
		b.WriteString("]")
	}
	return b.String()
}

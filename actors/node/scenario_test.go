package node_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/remote"
)

// TestScenario plays what testdata/scenario tells of clusters, in fake time.
// Each command is followed by what came of it: replies, what peers and dialers
// heard, events published by each node. After a change that is meant to alter
// behaviour, run with -rewrite and review the diff.
func TestScenario(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		run(t, func(s *stage) {
			datadriven.RunTest(s.T, path, func(t *testing.T, d *datadriven.TestData) string {
				return s.play(d) + s.flush()
			})
		})
	})
}

func (s *stage) play(d *datadriven.TestData) string {
	arg := func(i int) string {
		if i < len(d.CmdArgs) {
			return d.CmdArgs[i].Key
		}
		return ""
	}
	n := s.nodes[arg(0)]
	switch d.Cmd {
	case "start":
		s.scriptNode(d, arg(0))
	case "admit":
		m := node.Admit{Call: participant.ID(arg(1)), Alias: arg(2), Protocol: "sip", Audio: true}
		m.Video = d.HasArg("video")
		if d.HasArg("lurker") {
			m.Audio, m.API = false, true
		}
		d.MaybeScanArgs(s.T, "pin", &m.PIN)
		if d.HasArg("asks") {
			m.Asks, m.PIN = true, node.NoPIN
		}
		if from := ""; d.HasArg("from") {
			d.ScanArgs(s.T, "from", &from)
			m.Source = netip.MustParseAddr(from)
		}
		if d.HasArg("guest") {
			m.Role = conference.RoleGuest
		}
		if d.HasArg("viewer") {
			m.Role = conference.RoleViewer
		}
		return s.admit(n, m) + "\n"
	case "authorize":
		m := &node.Authorize{Alias: arg(1), Role: arg(2)}
		d.MaybeScanArgs(s.T, "pin", &m.PIN)
		_, err := actortest.Ask[*node.Authorized](n.Bench, n.pid, m)
		return fmt.Sprintln(err)
	case "connect":
		s.calls[arg(0)].connect()
	case "reserve":
		m := &node.Reserve{Call: participant.ID(arg(1)), Audio: true, Video: d.HasArg("video"), Content: d.HasArg("content")}
		if _, err := actortest.Ask[*node.Reserved](n.Bench, n.pid, m); err != nil {
			return fmt.Sprintf("refused: %v (%s)\n", err, bus.CodeOf(err))
		}
	case "giveback":
		n.Send(n.pid, &node.Reserve{Call: participant.ID(arg(1)), Audio: !d.HasArg("all")})
	case "layout":
		s.Must(n, arg(1), &conference.SetLayout{Layout: arg(2)})
	case "listen":
		n.Send(s.conference(n, arg(1)), &conference.Subscribe{Subscriber: conference.AddressOf(n.Self)})
		time.Sleep(time.Millisecond)
		n.Received()
	case "say":
		s.Must(n, arg(1), &conference.SendMessage{From: arg(2), Type: "text/plain", Payload: "hello"})
	case "hear":
		out := ""
		for _, m := range n.Received() {
			if m, ok := m.(*conference.Message); ok {
				out += fmt.Sprintf("%s: %s\n", m.From, m.Payload)
			}
		}
		return out
	case "capacity":
		var hd float64
		d.ScanArgs(s.T, "hd", &hd)
		n.Send(n.pid, &node.SetCapacity{Capacity: capacity(hd)})
	case "leased":
		return s.leased(n)
	case "hangup":
		c := s.calls[arg(0)]
		c.node.Send(c.pid, &participant.Ended{Reason: participant.Reason{Code: "hangup"}})
		time.Sleep(time.Millisecond)
	case "press":
		c := s.calls[arg(0)]
		for _, digit := range []byte(arg(1)) {
			c.node.Send(c.pid, &participant.Pressed{Digit: digit})
		}
	case "hold":
		c := s.calls[arg(0)]
		c.node.Send(c.pid, &participant.Hold{On: arg(1) == "on"})
	case "slowdesk":
		dur, err := time.ParseDuration(arg(1))
		if err != nil {
			d.Fatalf(s.T, "%v", err)
		}
		n.parting.Store(int64(dur))
	case "crash":
		s.crash(n, arg(1), arg(2))
	case "kill":
		s.cluster.Kill(n.Node)
	case "gap":
		n.System.EventStream.Publish(&remote.LinkGap{Address: s.nodes[arg(1)].Address, Lost: 1})
	case "presumedead":
		s.cluster.Presume(n.Node)
	case "renew":
		n.System.EventStream.Publish(&remote.Renewed{Address: n.Address})
	case "slow":
		dur, err := time.ParseDuration(arg(1))
		if err != nil {
			d.Fatalf(s.T, "%v", err)
		}
		n.Directory.SetDelay(dur)
	case "directory":
		n.Directory.Cut(arg(1) == "off")
	case "stop":
		start := time.Now()
		n.stop()
		return fmt.Sprintf("stopped after %v\n", time.Since(start).Round(100*time.Millisecond))
	case "drain":
		n.Send(n.pid, &node.Drain{On: arg(1) == "on"})
	case "mute", "disconnect", "lock":
		return s.command(n, d.Cmd, arg(1), arg(2))
	case "roster":
		return show(s.roster(n, arg(1)))
	case "find":
		return s.find(n, arg(1), d.HasArg("create"))
	case "dial":
		r, err := actortest.Ask[*node.Dialing](n.Bench, n.pid, &node.Dial{Alias: arg(1), URI: arg(2)})
		if err != nil {
			return fmt.Sprintf("%v (%s)\n", err, bus.CodeOf(err))
		}
		return fmt.Sprintf("dialing, id given: %v\n", r.Call != "")
	case "status":
		return s.status(n)
	case "media":
		return s.media(n)
	case "records":
		return s.records(n)
	case "wait":
		dur, err := time.ParseDuration(arg(0))
		if err != nil {
			d.Fatalf(s.T, "%v", err)
		}
		time.Sleep(dur)
	default:
		d.Fatalf(s.T, "unknown command %s", d.Cmd)
	}
	return ""
}

// scriptNode starts a node that knows the room Standup, with an alias, and
// Small, for two.
func (s *stage) scriptNode(d *datadriven.TestData, name string) {
	cfg := node.Config{
		Roles: []string{node.RoleMedia},
		Rooms: []conference.Config{
			{Name: "Standup", Aliases: []string{"daily", "1234"}},
			{Name: "Small", Limit: 2, Linger: 10 * time.Second},
			{Name: "Closed", HostPIN: "1234", GuestPIN: "5678", AllowGuests: true},
			{Name: "Lobby", HostPIN: "1234", AllowGuests: true},
			{Name: "Stage", Layout: "1+0"},
			{Name: "Mirror", Layout: "1+0", SelfView: true},
		},
	}
	if d.HasArg("nomedia") {
		cfg.Roles = nil
	}
	if d.HasArg("adhoc") {
		cfg.AdHoc = &conference.Config{Layout: "adaptive"}
	}
	d.MaybeScanArgs(s.T, "max", &cfg.MaxCalls)
	if d.HasArg("hd") {
		var hd float64
		d.ScanArgs(s.T, "hd", &hd)
		cfg.Capacity = capacity(hd)
	}
	s.start(name, cfg)
}

// crash makes an actor panic, by what it calls: a conference its publisher, a
// transcoder its bridge, a call its signalling, the node the directory.
func (s *stage) crash(n *member, kind, what string) {
	switch kind {
	case "conference":
		n.panicNext("conference.layout")
		n.Send(s.conference(n, what), &conference.SetLayout{Layout: "4x4"})
	case "transcoder":
		n.panicNext("plan")
		n.Send(s.conference(n, what), &conference.SetLayout{Layout: "3x3"})
	case "call":
		c := s.calls[what]
		n.panicNext("hangup")
		n.Send(c.pid, &participant.End{Reason: participant.Reason{Code: "disconnected"}})
	case "desk":
		n.panicNext("desk")
	case "node":
		n.panicNext("dial")
		n.Send(n.pid, &node.Dial{Alias: what, URI: "sip:x@example.com"})
	}
}

func (s *stage) command(n *member, cmd, room, id string) string {
	pid := s.conference(n, room)
	if pid == nil {
		return "no conference\n"
	}
	if id == "all" {
		id = ""
	}
	msg := map[string]any{
		"mute":       &conference.Mute{Id: id, On: true},
		"disconnect": &conference.Disconnect{Id: id, Reason: "said the host"},
		"lock":       &conference.Lock{On: true},
	}[cmd]
	if _, err := actortest.Ask[*conference.Done](n.Bench, pid, msg); err != nil {
		return fmt.Sprintf("%v (%s)\n", err, bus.CodeOf(err))
	}
	return ""
}

func (s *stage) find(n *member, alias string, create bool) string {
	f, err := actortest.Ask[*node.Found](n.Bench, n.pid, &node.Find{Alias: alias, Create: create})
	if err != nil {
		return fmt.Sprintf("%v (%s)\n", err, bus.CodeOf(err))
	}
	exists := "none"
	if f.Conference != nil {
		exists = "exists"
	}
	return fmt.Sprintf("%s: %s, media on %s, here: %v, %s\n", f.Room, exists, f.Node, f.Here, f.Contacts.SIP)
}

func (s *stage) status(n *member) string {
	st, err := actortest.Ask[*node.Status](n.Bench, n.pid, &node.GetStatus{})
	if err != nil {
		return err.Error() + "\n"
	}
	owned, err := actortest.Ask[*node.Conferences](n.Bench, n.pid, &node.GetConferences{})
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s at %s: calls %d, conferences %d, draining %v, directory %v\n",
		st.Node, st.Address, st.Calls, st.Conferences, st.Draining, st.BusConnected)
	for _, o := range owned.Owned {
		fmt.Fprintf(&out, "owns %s, epoch %d\n", o.Room, o.Epoch)
	}
	return out.String()
}

// capacity is that of a node of so many HD calls, in round proportions.
func capacity(hd float64) node.Capacity {
	return node.Capacity{
		HD: hd, SD: 2 * hd, FullHD: hd / 2, Audio: 10 * hd, Shown: 2 * hd, Viewers: 20 * hd, Listeners: 100 * hd,
	}
}

// leased says what of its capacity a node has promised.
func (s *stage) leased(n *member) string {
	st, err := actortest.Ask[*node.Status](n.Bench, n.pid, &node.GetStatus{})
	if err != nil {
		return err.Error() + "\n"
	}
	return fmt.Sprintf("%.2f of %.2f HD calls, %d %%\n", st.Leased.HD(), st.Capacity.HD, st.Load)
}

// records lists who owns the rooms of this test, as a node finds it.
func (s *stage) records(n *member) string {
	var out strings.Builder
	for _, room := range []string{"standup", "small", "anything"} {
		if o, err := n.Directory.Lookup(s.Context(), "conference."+room); err == nil {
			fmt.Fprintf(&out, "%s is of %s\n", room, remote.NodeOf(o.Address))
		}
	}
	return out.String()
}

// media lists the bridges of a node, what is attached and what is planned.
func (s *stage) media(n *member) string {
	synctest.Wait()
	var out strings.Builder
	for _, b := range n.bridges.Open() {
		fmt.Fprintf(&out, "%s: attached %v, planned", b.Room, b.Legs())
		for _, m := range b.Plan().Members {
			fmt.Fprintf(&out, " %s", m.ID)
			if m.AudioMuted {
				out.WriteString("(muted)")
			}
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

// show is a roster in one line.
func show(r *conference.Roster) string {
	if r == nil {
		return "no conference\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s epoch %d media=%s", r.Room, r.Epoch, r.MediaNode)
	if r.Locked {
		b.WriteString(" locked")
	}
	for _, p := range r.Participants {
		fmt.Fprintf(&b, " [%s %s", p.Id, p.State)
		if p.AudioMuted {
			b.WriteString(" muted")
		}
		b.WriteString("]")
	}
	b.WriteString("\n")
	return b.String()
}

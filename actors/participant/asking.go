package participant

import (
	"bytes"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
)

const (
	maxWrong = 3  // PINs, and then a caller is sent away
	maxKeys  = 20 // of a PIN; what has more is none

	quietTime = 30 * time.Second // without a key; then the caller is asked once more
	askTime   = 2 * time.Minute  // in all: a caller who is asked takes the place of another

	checkPatience = 20 * time.Second       // for the node, which may have to find the conference first
	greetPause    = 700 * time.Millisecond // until the caller's media runs as well
	partingPause  = 300 * time.Millisecond
)

// What a caller is told.
const (
	askPIN       = "Please enter the PIN, followed by the hash key."
	askHostPIN   = "Please enter the PIN, followed by the hash key. Or press hash to join as a guest."
	wrongPIN     = "That PIN is not right."
	tooManyWrong = "Too many wrong PINs were entered. Goodbye."
	noPIN        = "No PIN was entered. Goodbye."
	noEntry      = "The conference cannot be joined now. Goodbye."
)

// Ask says how a caller is asked for a PIN before it joins.
type Ask struct {
	Guests bool // who has none may press the hash key alone, and is a guest
}

// Reception are the ports through which callers are asked for a PIN.
type Reception struct {
	// Open returns a desk for one call. nil: nobody can be asked.
	Open func(room string) Desk

	// Speak returns text as speech, at the rate of Desk.Say. It may take a
	// second. nil: nothing is said.
	Speak func(text string) (pcm.Frame, error)
}

// A Desk is where one caller is asked; media/echo implements it.
type Desk interface {
	// Receive lets leg hear and see the desk, and nothing else.
	Receive(leg bridge.Leg)

	// Say says speech in place of what is being said, and returns how long it is
	// until that is over.
	Say(speech pcm.Frame) time.Duration

	// Show writes lines on the picture.
	Show(lines []string)

	// Close ends everything and returns when the leg is not touched any more,
	// also when it is called again.
	Close()
}

// asking is what has become of asking a caller for its PIN.
type asking struct {
	desk     Desk
	keys     []byte // pressed so far
	wrong    int
	reminded bool
	deaf     bool // keys mean nothing: the PIN is being checked, or the caller sent away

	telling string // what is to be said; what becomes speech later is old
	after   Reason // why the caller is sent away when it has been said; zero: it is not
	quiet   int    // counts keys, so that a timer of before is known
	late    bool   // askTime is over

	stopQuiet func() bool
	timers    []func() bool // to stop, besides that
}

// Messages to self.
type (
	greeted  struct{} // greetPause
	quietFor struct{ quiet int }
	askedFor struct{} // askTime
	spoken   struct {
		text   string
		speech pcm.Frame
		err    error
	}
	parted   struct{}
	deskLeft struct{}
)

// greet asks a caller whose media has come.
func (p *participant) greet(c actor.Context, media Port) {
	p.stopTimer()
	p.port = media
	p.Log.Info("caller is asked for a PIN", "peer", p.Remote)
	p.asking.desk = p.Reception.Open(p.Room)
	p.asking.desk.Receive(media)
	p.later(c, askTime, &askedFor{})
	p.later(c, greetPause, &greeted{})
	p.listen(c)
}

func (p *participant) greeted(c actor.Context) {
	if a := &p.asking; p.state == asked && a.telling == "" && !a.deaf {
		p.question(c, "")
	}
}

// question asks for the PIN, after what is to be said before.
func (p *participant) question(c actor.Context, before string) {
	text := askPIN
	if p.Ask.Guests {
		text = askHostPIN
	}
	p.say(c, strings.TrimSpace(before+" "+text))
}

// say says text when it has become speech, and shows it now.
func (p *participant) say(c actor.Context, text string) {
	p.asking.telling = text
	p.show()
	speak := p.Reception.Speak
	if speak == nil {
		p.spoken(c, &spoken{text: text})
		return
	}
	actors.Go(c, func() any {
		speech, err := speak(text)
		return &spoken{text, speech, err}
	})
}

// clauses cuts what is said into lines that fit on a picture.
var clauses = strings.NewReplacer(", ", ",\n", ". ", ".\n")

// show writes what is said, and a star for every key.
func (p *participant) show() {
	var lines []string
	if p.asking.telling != "" {
		lines = strings.Split(clauses.Replace(p.asking.telling), "\n")
	}
	if stars := strings.Repeat("* ", len(p.asking.keys)); stars != "" {
		lines = append(lines, strings.TrimSpace(stars))
	}
	p.asking.desk.Show(lines)
}

func (p *participant) spoken(c actor.Context, m *spoken) {
	a := &p.asking
	if p.state != asked || m.text != a.telling || len(a.keys) > 0 {
		return // there is something else to say, or nothing
	}
	if m.err != nil {
		p.Log.Error("nothing said", "text", m.text, "err", m.err)
	}
	lasts := a.desk.Say(m.speech)
	if a.after != (Reason{}) {
		p.later(c, lasts+partingPause, &parted{})
	}
}

// later sends msg to self, unless nobody is asked any more.
func (p *participant) later(c actor.Context, d time.Duration, msg any) {
	p.asking.timers = append(p.asking.timers, actors.After(c, d, msg))
}

// listen waits for the next key.
func (p *participant) listen(c actor.Context) {
	a := &p.asking
	a.quiet++
	if a.stopQuiet != nil {
		a.stopQuiet()
	}
	a.stopQuiet = actors.After(c, quietTime, &quietFor{a.quiet})
}

// key takes a key press of a caller who is asked. It is nobody else's to know.
func (p *participant) key(c actor.Context, digit string) {
	a := &p.asking
	if a.desk == nil || a.deaf {
		return
	}
	p.listen(c)
	switch {
	case digit == "#":
		pin := string(a.keys)
		a.keys = nil
		p.check(c, pin)
		return
	case digit == "*":
		a.keys = nil // from the beginning
	case len(a.keys) <= maxKeys && bytes.ContainsAny([]byte(digit), "0123456789"):
		a.keys = append(a.keys, digit...)
	}
	a.desk.Say(nil) // who types has understood
	p.show()
}

// check asks the node what a PIN is good for.
func (p *participant) check(c actor.Context, pin string) {
	if pin == "" && !p.Ask.Guests || len(pin) > maxKeys {
		p.notRight(c)
		return
	}
	p.asking.deaf = true
	p.asking.desk.Say(nil)
	actors.Request(c, c.Parent(), &Enter{p.ID, pin}, checkPatience, func(r any, err error) {
		if p.state != asked || p.asking.after != (Reason{}) {
			return // it has gone, or goes
		}
		p.asking.deaf = false
		switch r := r.(type) {
		case *Welcome:
			p.welcome(c, r)
		case *Turned:
			if r.Blocked {
				p.sendAway(c, tooManyWrong, Reason{Code: ReasonRejected, Text: "Too many wrong PINs"})
				return
			}
			p.notRight(c)
		default:
			p.Log.Info("caller with the right PIN not let in", "err", err)
			p.sendAway(c, noEntry, reasonOf(err))
		}
	})
}

func (p *participant) notRight(c actor.Context) {
	p.asking.wrong++
	switch {
	case p.asking.wrong >= maxWrong:
		p.sendAway(c, tooManyWrong, Reason{Code: ReasonRejected, Text: "Too many wrong PINs"})
	case p.asking.late:
		p.askedFor(c)
	default:
		p.listen(c)
		p.question(c, wrongPIN)
	}
}

func (p *participant) quietFor(c actor.Context, quiet int) {
	a := &p.asking
	switch {
	case p.state != asked || a.deaf || quiet != a.quiet:
	case a.reminded:
		p.sendAway(c, noPIN, Reason{Code: "timeout", Text: "No PIN was entered"})
	default:
		a.reminded, a.keys = true, nil
		p.listen(c)
		p.question(c, "")
	}
}

func (p *participant) askedFor(c actor.Context) {
	p.asking.late = true
	if p.state == asked && !p.asking.deaf {
		p.sendAway(c, noPIN, Reason{Code: "timeout", Text: "No PIN was entered"})
	}
}

// sendAway says goodbye, and then ends the call.
func (p *participant) sendAway(c actor.Context, text string, why Reason) {
	p.asking.deaf, p.asking.keys, p.asking.after = true, nil, why
	p.say(c, text)
}

// parted ends the call of a caller who has heard why.
func (p *participant) parted(c actor.Context) {
	if p.state == asked {
		p.turnAway(c, p.asking.after)
	}
}

// welcome joins the conference when the desk has let go of the media.
func (p *participant) welcome(c actor.Context, w *Welcome) {
	p.Log.Info("caller has entered a PIN", "role", w.Role)
	p.Role, p.Conference, p.began = w.Role, w.Conference, time.Now()
	p.asking.deaf = true
	p.stopAsking()
	desk := p.asking.desk
	actors.Go(c, func() any {
		desk.Close()
		return &deskLeft{}
	})
}

func (p *participant) deskLeft(c actor.Context) {
	if p.state != asked {
		return
	}
	p.state = joining
	p.stopTimer = actors.After(c, p.JoinTimeout, &timedOut{joining})
	p.join(c)
}

func (p *participant) stopAsking() {
	if p.asking.stopQuiet != nil {
		p.asking.stopQuiet()
	}
	for _, stop := range p.asking.timers {
		stop()
	}
}

// turnAway ends a call that was answered, and has no place in the conference.
func (p *participant) turnAway(c actor.Context, why Reason) {
	p.state, p.reason = ended, why
	p.stopTimer()
	p.stopAsking()
	p.Log.Info("call turned away", "reason", why.Code, "text", why.Text)
	p.hangUp(why)
	root, self := c.ActorSystem().Root, c.Self()
	p.ending.open = 1
	if !p.release(c, func() { root.Send(self, &released{}) }) {
		p.ended(c)
	}
}

// reasonOf is why a caller who has been asked is not let in.
func reasonOf(err error) Reason {
	switch bus.CodeOf(err) {
	case bus.Forbidden, bus.Full:
		return Reason{Code: ReasonRejected, Text: err.Error()}
	}
	return Reason{Code: "failed", Text: err.Error()}
}

// An Enterer is a [Signalling] that wants to know when a caller who was asked
// for its PIN has its place.
type Enterer interface {
	// Entered names the conference's owner. It does not block.
	Entered(owner *actor.PID)
}

// entered goes on with a call that has its media, now that it has its place.
func (p *participant) entered(c actor.Context) {
	if s, ok := p.Signalling.(Enterer); ok {
		s.Entered(p.Conference)
	}
	p.stopTimer()
	p.established(c, p.port)
	if p.held { // since it was asked, when nothing was published
		p.publishHeld()
	}
}

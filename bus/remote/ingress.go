package remote

import (
	"errors"
	"fmt"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"

	"github.com/skybridge-media/skybridge/bus"
)

// onUser takes a message for an actor of ours.
func (r *Remote) onUser(s *self, m *nats.Msg) {
	var e envelope
	if err := e.decode(m.Data); err != nil {
		r.reject(m, err)
		return
	}
	p := r.source(&e)
	if p == nil {
		return
	}
	lost, ok := p.link.take(s, e.seq)
	if !ok {
		r.reject(m, fmt.Errorf("%w: number %d came before", errEnvelope, e.seq))
		return
	}
	if lost > 0 {
		r.cfg.Metrics.gaps.Inc()
		r.cfg.Metrics.lost.Add(float64(lost))
		r.cfg.Log.Warn("messages lost", "peer", p.text, "lost", lost)
		r.sys.EventStream.Publish(&LinkGap{Address: p.text, Lost: lost})
	}
	r.cfg.Metrics.received.Inc()
	if e.number == numProbe {
		if len(e.payload) > 0 {
			r.probe(p, false)
		}
		return
	}
	sender := r.sender(&e)
	message, err := r.open(&e)
	switch {
	case err != nil:
		r.reject(m, err)
	case !r.allowed(e.target):
		r.cfg.Metrics.refused.Inc()
		r.cfg.Log.Debug("message refused", "target", e.target, "peer", p.text)
	default:
		r.handOver(e.target, message, sender, e.header)
		return
	}
	if sender != nil {
		r.sys.Root.Send(sender, &actor.DeadLetterResponse{Target: r.sys.NewLocalPID(e.target)})
	}
}

// handOver puts a message into the mailbox of a local actor. A missing actor
// makes it a dead letter, which answers the sender.
func (r *Remote) handOver(target string, message any, sender *actor.PID, header map[string]string) {
	if sender != nil || header != nil {
		message = &actor.MessageEnvelope{Header: header, Message: message, Sender: sender}
	}
	proc, _ := r.sys.ProcessRegistry.GetLocal(target)
	proc.SendUserMessage(r.sys.NewLocalPID(target), message)
}

// source returns the peer that sent e, and nil when nothing of it may be
// believed: it is no peer, or it is dead and has not noticed.
func (r *Remote) source(e *envelope) *peer {
	if r.state.Load() != running {
		return nil
	}
	p := r.peer(e.source)
	switch {
	case p == nil:
		r.cfg.Metrics.undecodable.Inc()
		return nil
	case p.dead.Load():
		r.bury(p)
		return nil
	}
	return p
}

// open decodes the message inside, with the addresses as they are here. System
// messages are none.
func (r *Remote) open(e *envelope) (any, error) {
	switch {
	case e.number == numError:
		return decodeError(e.payload)
	case e.number <= numStop:
		return nil, fmt.Errorf("%w: number %d is not for this lane", errType, e.number)
	}
	return r.openAny(e)
}

func (r *Remote) openAny(e *envelope) (any, error) {
	m, err := r.reg.unmarshal(e.number, e.payload)
	if err != nil {
		return nil, err
	}
	r.reg.translate(m.ProtoReflect(), func(node string) string { return r.localize(node, e.source) })
	return m, nil
}

func (r *Remote) sender(e *envelope) *actor.PID {
	switch {
	case e.sender == "":
		return nil
	case e.address == "":
		return actor.NewPID(e.source, e.sender)
	}
	return actor.NewPID(r.localize(e.address, e.source), e.sender)
}

// reject counts and logs what cannot be used.
func (r *Remote) reject(m *nats.Msg, err error) {
	r.cfg.Metrics.undecodable.Inc()
	r.cfg.Log.Debug("message rejected", "subject", m.Subject, "bytes", len(m.Data), "err", err)
}

// onSystem takes a system message, or the news that we are dead.
func (r *Remote) onSystem(s *self, m *nats.Msg) {
	var e envelope
	if err := e.decode(m.Data); err != nil {
		r.reject(m, err)
		return
	}
	if e.number == numBuried {
		r.onBuried(s, &e)
		return
	}
	p := r.source(&e)
	if p == nil {
		return
	}
	message, err := r.openAny(&e)
	if err != nil {
		r.reject(m, err)
	} else if p.link.takeSystem(s, e.seq) {
		r.apply(p, e.target, message)
	}
	// Also what was not understood is acknowledged: it would not be the next
	// time either.
	if err := m.Respond(nil); err != nil && !errors.Is(err, nats.ErrMsgNoReply) {
		r.cfg.Log.Debug("acknowledgement not sent", "peer", p.text, "err", err)
	}
}

// apply carries out a system message. Each can come for an actor that does not
// exist any more.
func (r *Remote) apply(p *peer, target string, message any) {
	proc, _ := r.sys.ProcessRegistry.GetLocal(target)
	pid := r.sys.NewLocalPID(target)
	switch m := message.(type) {
	case *actor.Watch:
		if m.Watcher.GetId() == "" {
			return
		}
		watcher := actor.NewPID(p.text, m.Watcher.Id)
		if !r.allowed(target) {
			r.cfg.Metrics.refused.Inc()
			r.tell(p, op{target: watcher.Id, message: &actor.Terminated{
				Who: actor.NewPID(local, target), Why: actor.TerminatedReason_NotFound,
			}})
			return
		}
		r.mu.Lock()
		p.watched.put(target, watcher)
		r.mu.Unlock()
		proc.SendSystemMessage(pid, &actor.Watch{Watcher: watcher}) // a dead letter is answered with NotFound
	case *actor.Unwatch:
		r.mu.Lock()
		p.watched.remove(target, m.Watcher.GetId())
		r.mu.Unlock()
		proc.SendSystemMessage(pid, &actor.Unwatch{Watcher: actor.NewPID(p.text, m.Watcher.GetId())})
	case *actor.Terminated:
		r.mu.Lock()
		known := p.watches.remove(m.Who.GetId(), target)
		r.mu.Unlock()
		if known { // it may come although the watch was withdrawn
			r.terminated(actor.NewPID(local, target), p.text, m.Who.GetId(), m.Why)
		}
	case *actor.Stop:
		if !r.allowed(target) {
			r.cfg.Metrics.refused.Inc()
			return
		}
		proc.Stop(pid)
	}
}

// onNobody takes the server's word that nobody listened to a message of ours:
// it is certainly undelivered, and its sender is told.
func (r *Remote) onNobody(s *self, m *nats.Msg) {
	if m.Header.Get("Status") != "503" || len(m.Data) > 0 {
		return
	}
	tokens := strings.Split(strings.TrimPrefix(m.Subject, bus.ActorSubject(s.node, s.incarnation, "n")+"."), ".")
	if len(tokens) != 3 {
		return
	}
	node, ok1 := bus.Untoken(tokens[0])
	inc, ok2 := bus.Untoken(tokens[1])
	id, ok3 := bus.Untoken(tokens[2])
	if !ok1 || !ok2 || !ok3 {
		return
	}
	r.cfg.Metrics.nobody.Inc()
	if proc, ok := r.sys.ProcessRegistry.GetLocal(id); ok && !isInternal(id) {
		proc.SendUserMessage(r.sys.NewLocalPID(id), &actor.DeadLetterResponse{Target: actor.NewPID(address{node, inc}.String(), "")})
	}
}

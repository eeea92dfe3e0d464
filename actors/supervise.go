package actors

import "github.com/asynkron/protoactor-go/actor"

// Supervise is the one policy for children: a child that panics is stopped, and
// nobody else notices. It is given to the parent's Props.
func Supervise() actor.PropsOption { return actor.WithSupervisor(directive(actor.StopDirective)) }

// Survive is the policy for the one actor at the top of a process, spawned
// without a parent: it loses the message that made it panic and keeps its state
// and its children, because stopping it would end every call of the node.
func Survive() actor.PropsOption { return actor.WithGuardian(directive(actor.ResumeDirective)) }

// directive does the same whatever happened. The failure has been counted and
// logged, with its stack, by the mailbox.
type directive actor.Directive

// HandleFailure implements [actor.SupervisorStrategy].
func (d directive) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	switch actor.Directive(d) {
	case actor.ResumeDirective:
		s.ResumeChildren(child)
	default:
		s.StopChildren(child)
	}
}

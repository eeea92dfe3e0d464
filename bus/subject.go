package bus

import "strings"

// Subjects read from general to specific and end in identifiers, so that one
// wildcard follows a kind of event and another follows a conference:
//
//	sky.evt.<entity>.<what happened>.<id>...   facts, kept by a stream
//	sky.api.<entity>.<verb>                    commands of integrations, answered
//	sky.a.<node>.<incarnation>.<lane>          messages between actors
//	sky.hb.<node>.<incarnation>                heartbeats of nodes
//	sky.srv.<server id>                        what a NATS server says of itself
//	sky.js.<access>.<JetStream request>        consumers that integrations want
//
// Tokens are lower case letters, digits, '-' and '_'. Identifiers that come
// from outside are escaped by [Token], never trusted.
const (
	prefix = "sky"

	// AllEvents matches every event.
	AllEvents = prefix + ".evt.>"

	// Stream is the JetStream stream that keeps the events.
	Stream = "SKYBRIDGE_EVT"

	consumerRequests = prefix + ".js."
	jetStream        = "$JS.API."

	// AllHeartbeats matches the heartbeats of every node.
	AllHeartbeats = prefix + ".hb.>"
)

// RoomEvents matches everything that happens in one room: every event about a
// room has it as its first identifier and another identifier after it.
func RoomEvents(room string) string { return subject("evt", "*", "*", Token(room)) + ".>" }

// KindEvents matches every event of one kind, such as "participant.joined", as
// [KindOf] returns it.
func KindEvents(kind string) string { return prefix + ".evt." + kind + ".>" }

// KindOf returns the kind of an event: entity and verb, "participant.joined".
// It names the event's schema.
func KindOf(e Event) string {
	kind, _ := kindOfSubject(e.Subject())
	return kind
}

func kindOfSubject(subject string) (kind string, ok bool) {
	rest, ok := strings.CutPrefix(subject, prefix+".evt.")
	if !ok {
		return "", false
	}
	entity, rest, _ := strings.Cut(rest, ".")
	verb, _, ok := strings.Cut(rest, ".")
	return entity + "." + verb, ok && entity != "" && verb != ""
}

// ActorSubject is where a node listens for messages to its actors. The lane is
// "u" for user messages, "s" for system messages; with further tokens, which
// are escaped here, "n" takes the server's word that nobody listens.
func ActorSubject(node, incarnation, lane string, more ...string) string {
	tokens := []string{"a", Token(node), Token(incarnation), lane}
	for _, t := range more {
		tokens = append(tokens, Token(t))
	}
	return subject(tokens...)
}

// HeartbeatSubject is where a node says that it lives.
func HeartbeatSubject(node, incarnation string) string {
	return subject("hb", Token(node), Token(incarnation))
}

// ParseHeartbeatSubject undoes [HeartbeatSubject].
func ParseHeartbeatSubject(s string) (node, incarnation string, ok bool) {
	tokens := strings.Split(s, ".")
	if len(tokens) != 4 || tokens[0] != prefix || tokens[1] != "hb" {
		return "", "", false
	}
	node, okNode := Untoken(tokens[2])
	incarnation, okInc := Untoken(tokens[3])
	return node, incarnation, okNode && okInc
}

// ServerSubject is where whoever runs an embedded server answers for it.
func ServerSubject(id string) string { return subject("srv", Token(id)) }

// ConsumerRequests matches the requests of an [Access] to JetStream that nodes look
// at before JetStream gets them: those for a consumer of the events.
func ConsumerRequests(access string) string { return consumerRequests + access + ".>" }

// ConsumerRequest returns the JetStream request that came at a subject which
// [ConsumerRequests] matches.
func ConsumerRequest(s string) string {
	_, request, _ := strings.Cut(strings.TrimPrefix(s, consumerRequests), ".")
	return jetStream + request
}

// InboxPrefix is where the answers to a node's questions go.
func InboxPrefix(node string) string { return NodeInboxes + "." + Token(node) }

// NodeInboxes is what the inboxes of all nodes begin with.
const NodeInboxes = "_INBOX." + prefix

func subject(tokens ...string) string { return prefix + "." + strings.Join(tokens, ".") }

// Token makes any string one legal subject token, and one legal part of a
// key-value key. Everything outside [a-z0-9_-] becomes '=' and two hex digits,
// so distinct identifiers stay distinct; [Untoken] undoes it.
func Token(s string) string {
	const hex = "0123456789abcdef"
	plain := 0
	for plain < len(s) && isPlain(s[plain]) {
		plain++
	}
	switch {
	case s == "":
		return "=" // an empty token would make the subject illegal
	case plain == len(s):
		return s
	}
	b := make([]byte, plain, len(s)+16)
	copy(b, s)
	for i := plain; i < len(s); i++ {
		if c := s[i]; isPlain(c) {
			b = append(b, c)
		} else {
			b = append(b, '=', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// Untoken undoes [Token]. It reports false for what Token never makes.
func Untoken(t string) (s string, ok bool) {
	if t == "=" {
		return "", true
	}
	if !strings.Contains(t, "=") {
		s = t
	} else {
		b := make([]byte, 0, len(t))
		for i := 0; i < len(t); i++ {
			if t[i] != '=' {
				b = append(b, t[i])
				continue
			}
			if i+2 >= len(t) {
				return "", false
			}
			b = append(b, unhex(t[i+1])<<4|unhex(t[i+2]))
			i += 2
		}
		s = string(b)
	}
	return s, t != "" && Token(s) == t
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// unhex returns the value of a hex digit, or anything for another byte:
// Untoken compares with what Token would have made.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

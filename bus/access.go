package bus

import "slices"

// Names of those who may use NATS, from the most trusted to the least.
const (
	AccessNode    = "node"
	AccessControl = "control"
	AccessObserve = "observe"
)

// An Access is what one kind of client may do on NATS: publish to, and listen
// to, what Allow matches and Deny does not.
type Access struct {
	Name               string
	Publish, Subscribe Subjects
}

// Subjects are two lists of subjects with wildcards.
type Subjects struct{ Allow, Deny []string }

// Accesses lists the kinds of clients: nodes, integrations that command, and
// integrations that only look.
func Accesses() []Access {
	look := []string{
		"$SRV.PING.>", "$SRV.PING", "$SRV.INFO.>", "$SRV.INFO", "$SRV.STATS.>", "$SRV.STATS",
		// The event stream: what it is, single messages of it, and consumers.
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO." + Stream,
		"$JS.API.STREAM.MSG.GET." + Stream, "$JS.API.DIRECT.GET." + Stream, "$JS.API.DIRECT.GET." + Stream + ".>",
		"$JS.API.CONSUMER.CREATE." + Stream, "$JS.API.CONSUMER.CREATE." + Stream + ".>", "$JS.API.CONSUMER.DURABLE.CREATE." + Stream + ".>",
		"$JS.API.CONSUMER.INFO." + Stream + ".>", "$JS.API.CONSUMER.NAMES." + Stream, "$JS.API.CONSUMER.LIST." + Stream,
		"$JS.API.CONSUMER.MSG.NEXT." + Stream + ".>", "$JS.API.CONSUMER.DELETE." + Stream + ".>",
		"$JS.ACK." + Stream + ".>", "$JS.FC." + Stream + ".>",
	}
	command := append(slices.Clip(look), prefix+".api.>")
	for _, c := range Commands() {
		if c.Reads {
			look = append(look, c.Subject())
		}
	}
	hear := Subjects{Allow: []string{AllEvents, "_INBOX.>"}, Deny: []string{NodeInboxes + ".>"}}
	all := Subjects{Allow: []string{prefix + ".>", "_INBOX.>", "$SRV.>", "$JS.>", "$KV.sky-sessions.>", "$KV.sky-records.>", "$KV.sky-requests.>"}}
	return []Access{
		{AccessNode, all, all},
		{AccessControl, Subjects{Allow: command}, hear},
		{AccessObserve, Subjects{Allow: look}, hear},
	}
}

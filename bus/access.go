package bus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Names of those who may use NATS, from the most trusted to the least.
const (
	AccessNode    = "node"
	AccessControl = "control"
	AccessObserve = "observe"
)

// NodesAccount is the NATS account with the state of the platform.
const NodesAccount = "SKYBRIDGE"

// UserInfo is where a NATS server says who asks.
const UserInfo = "$SYS.REQ.USER.INFO"

// An Access is what one kind of client may do on NATS: publish to, and listen
// to, what its Publish and Subscribe list. Each kind has an account of its own,
// in which nothing else goes on: what it can do to the nodes' account is its
// Imports, whatever it makes NATS do for it.
type Access struct {
	Name, Account      string
	Publish, Subscribe []string // subjects with wildcards
	Imports            []Import
}

// An Import lets an account use a subject of the nodes' account: ask there, or
// hear what is said.
type Import struct {
	Subject string
	As      string // its name in the account; empty for the same
	Hears   bool   // messages come from there; otherwise requests go there
	Many    bool   // a request may have many answers
}

// name is what the subject of an import is called where it is used.
func (i Import) name() string {
	if i.As != "" {
		return i.As
	}
	return i.Subject
}

// Accesses lists the kinds of clients: nodes, integrations that command, and
// integrations that only look.
func Accesses() []Access {
	look := []Import{
		{Subject: AllEvents, Hears: true},
		{Subject: "$SRV.PING", Many: true},
		{Subject: "$SRV.PING.>", Many: true},
		{Subject: "$SRV.INFO", Many: true},
		{Subject: "$SRV.INFO.>", Many: true},
		{Subject: "$SRV.STATS", Many: true},
		{Subject: "$SRV.STATS.>", Many: true},
		// The event stream: what it is, single messages of it, and consumers.
		// Without the first, a server answers all of these itself: no JetStream here.
		{Subject: "$JS.API.INFO"},
		{Subject: "$JS.API.STREAM.INFO." + Stream},
		{Subject: "$JS.API.STREAM.MSG.GET." + Stream},
		{Subject: "$JS.API.DIRECT.GET." + Stream, Many: true},
		{Subject: "$JS.API.DIRECT.GET." + Stream + ".>", Many: true},
		{Subject: "$JS.API.CONSUMER.INFO." + Stream + ".*"},
		{Subject: "$JS.API.CONSUMER.NAMES." + Stream},
		{Subject: "$JS.API.CONSUMER.LIST." + Stream},
		{Subject: "$JS.API.CONSUMER.DELETE." + Stream + ".*"},
		{Subject: "$JS.API.CONSUMER.MSG.NEXT." + Stream + ".*", Many: true},
		{Subject: "$JS.ACK." + Stream + ".>"},
	}
	command := append(slices.Clip(look), Import{Subject: prefix + ".api.>"})
	for _, c := range Commands() {
		if c.Reads {
			look = append(look, Import{Subject: c.Subject()})
		}
	}
	all := []string{prefix + ".>", "_INBOX.>", "$SRV.>", "$JS.>", "$KV.sky-sessions.>", "$KV.sky-records.>", "$KV.sky-requests.>"}
	return []Access{
		// The server gives requests from other accounts a subject below _R_ for the answer.
		{Name: AccessNode, Account: NodesAccount, Publish: append(slices.Clip(all), "_R_.>", UserInfo), Subscribe: all},
		integration(AccessControl, "SKYBRIDGE_CONTROL", command),
		integration(AccessObserve, "SKYBRIDGE_OBSERVE", look),
	}
}

// integration may ask for what its account imports, and for consumers, and nothing
// else. Nodes make these, because whoever makes one says where it delivers; they
// see by the subject who asks.
func integration(name, account string, imports []Import) Access {
	imports = slices.Clip(imports)
	for _, request := range []string{"CONSUMER.CREATE." + Stream, "CONSUMER.CREATE." + Stream + ".>", "CONSUMER.DURABLE.CREATE." + Stream + ".*"} {
		imports = append(imports, Import{Subject: consumerRequests + name + "." + request, As: jetStream + request})
	}
	a := Access{Name: name, Account: account, Subscribe: []string{AllEvents, "_INBOX.>"}, Imports: imports}
	for _, i := range imports {
		if !i.Hears {
			a.Publish = append(a.Publish, i.name())
		}
	}
	return a
}

// ServerAccounts is the part of a NATS server's configuration that gives
// everybody in [Accesses] an account. password returns a user's password as it
// is to be written there, or nothing if there is to be no such user.
func ServerAccounts(password func(name string) string) string {
	var b strings.Builder
	b.WriteString("accounts {\n")
	for _, a := range Accesses() {
		fmt.Fprintf(&b, "  %s {\n", a.Account)
		if a.Account == NodesAccount {
			b.WriteString("    jetstream: enabled\n")
		}
		if p := password(a.Name); p != "" {
			fmt.Fprintf(&b, "    users: [ { user: %s, password: %s, permissions: {\n", a.Name, p)
			writeList(&b, "publish", a.Publish)
			writeList(&b, "subscribe", a.Subscribe)
			b.WriteString("    } } ]\n")
		}
		if a.Account == NodesAccount {
			writeExports(&b)
		}
		writeImports(&b, a.Imports)
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

func writeList(b *strings.Builder, name string, subjects []string) {
	fmt.Fprintf(b, "      %s: [\n", name)
	for _, s := range subjects {
		fmt.Fprintf(b, "        %s\n", strconv.Quote(s))
	}
	b.WriteString("      ]\n")
}

// writeExports renders what is imported from the nodes' account, and by whom.
func writeExports(b *strings.Builder) {
	var exports []Import
	accounts := map[string][]string{} // by subject
	for _, a := range Accesses() {
		for _, i := range a.Imports {
			if accounts[i.Subject] == nil {
				exports = append(exports, i)
			}
			accounts[i.Subject] = append(accounts[i.Subject], a.Account)
		}
	}
	b.WriteString("    exports: [\n")
	for _, e := range exports {
		what, how := "service", ""
		switch {
		case e.Hears:
			what = "stream"
		case e.Many:
			how = ", response_type: stream"
		}
		fmt.Fprintf(b, "      { %s: %q%s, accounts: [%s] }\n", what, e.Subject, how, strings.Join(accounts[e.Subject], ", "))
	}
	b.WriteString("    ]\n")
}

func writeImports(b *strings.Builder, imports []Import) {
	if len(imports) == 0 {
		return
	}
	b.WriteString("    imports: [\n")
	for _, i := range imports {
		what, as := "service", ""
		if i.Hears {
			what = "stream"
		}
		if i.As != "" {
			as = fmt.Sprintf(", to: %q", i.As)
		}
		fmt.Fprintf(b, "      { %s: { account: %s, subject: %q }%s }\n", what, NodesAccount, i.Subject, as)
	}
	b.WriteString("    ]\n")
}

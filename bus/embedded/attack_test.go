package embedded_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/natsbus"
)

// secret is what no integration may read.
const secret = "pin-4711"

// victim is what integrations attack: a node that serves commands, state in
// key-value buckets, and events.
type victim struct {
	js     jetstream.JetStream
	stream jetstream.StreamInfo

	mu      sync.Mutex // guards the rest
	heard   []string   // subjects in the nodes' account on which only an attacker speaks
	carried []string   // commands
}

func newVictim(t *testing.T, url string) *victim {
	t.Helper()
	v := &victim{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: url, Node: "n1"})
	must(err)
	var endpoints []bus.Endpoint
	for _, c := range bus.Commands() {
		endpoints = append(endpoints, bus.Endpoint{Command: c, Handle: func(context.Context, []byte) (any, error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.carried = append(v.carried, c.Name)
			return bus.Nothing{}, nil
		}})
	}
	stop, err := b.Serve(natsbus.Service{Version: "1.0.0", Node: "n1", Program: "test", Endpoints: endpoints})
	must(err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = stop(ctx)
		_ = b.Close(ctx)
	})
	for i := range 5 {
		must(b.Publish(t.Context(), bus.NodeStarted{Node: fmt.Sprint("n", i)}))
	}
	v.js, err = jetstream.New(b.Data())
	must(err)
	kv, err := v.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "sky-records"})
	must(err)
	_, err = kv.Put(t.Context(), "conference.standup", []byte(secret))
	must(err)
	for v.stream.State.Msgs < 5 { // they are published in the background
		s, err := v.js.Stream(t.Context(), natsbus.Stream)
		must(err)
		v.stream = *s.CachedInfo()
	}
	ears := logIn(t, url)
	for _, subject := range []string{"$KV.sky-records.>", "sky.a.n1.x.u", "_INBOX.sky.x.y"} {
		_, err := ears.Subscribe(subject, func(m *nats.Msg) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.heard = append(v.heard, m.Sub.Subject) // that of m is the event's
		})
		must(err)
	}
	must(ears.Flush())
	return v
}

// attacker is an integration that wishes us ill.
type attacker struct {
	*testing.T
	*who

	mu    sync.Mutex // guards reads
	reads []string   // where it has come by the secret
}

func newAttacker(t *testing.T, url string) *attacker {
	t.Helper()
	a := &attacker{T: t, who: logIn(t, url)}
	if _, err := a.Subscribe("_INBOX.>", func(m *nats.Msg) {
		if bytes.Contains(m.Data, []byte(secret)) || bytes.Contains(m.Data, []byte("cGluLTQ3MTE")) { // base64
			a.mu.Lock()
			defer a.mu.Unlock()
			a.reads = append(a.reads, m.Subject)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return a
}

// says publishes something, whether it may or not.
func (a *attacker) says(subject, reply, body string) {
	a.Helper()
	if err := a.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: []byte(body)}); err != nil {
		a.Fatal(err)
	}
}

// pushes asks in each way there is for a consumer that delivers to a subject, with
// or without the events themselves, alone or in a group.
func (a *attacker) pushes(name, to, group string) {
	a.Helper()
	config := fmt.Sprintf(`"config":{"name":%q,"durable_name":%q,"deliver_subject":%q,"deliver_group":%q,"deliver_policy":"all","ack_policy":"none","headers_only":true}`,
		name, name, to, group)
	empty := `"config":{"ack_policy":"explicit"}`
	for i, body := range []string{
		`{"stream_name":"SKYBRIDGE_EVT",` + config + `}`,
		`{"stream_name":"SKYBRIDGE_EVT",` + empty + `,` + config + `}`,
		`{"stream_name":"SKYBRIDGE_EVT",` + config + `,` + empty + `}`,
		`{"stream_name":"SKYBRIDGE_EVT",` + strings.ReplaceAll(config, "deliver_subject", "DELIVER_SUBJECT") + `}`,
		`{"STREAM_NAME":"SKYBRIDGE_EVT",` + strings.Replace(config, "config", "CONFIG", 1) + `}`,
		`{"stream_name":"SKYBRIDGE_EVT",` + config + `,"extra":1}`,
		`{"stream_name":"SKYBRIDGE_EVT",` + config + `}{}`,
	} {
		inbox := fmt.Sprintf("_INBOX.push.%s.%d", name, i)
		a.says("$JS.API.CONSUMER.CREATE.SKYBRIDGE_EVT."+name, inbox, body)
		a.says("$JS.API.CONSUMER.CREATE.SKYBRIDGE_EVT."+name+".sky.evt.>", inbox, strings.Replace(body, `"ack_policy"`, `"filter_subject":"sky.evt.>","ack_policy"`, 1))
		a.says("$JS.API.CONSUMER.DURABLE.CREATE.SKYBRIDGE_EVT."+name, inbox, body)
		a.says("$JS.API.CONSUMER.CREATE.SKYBRIDGE_EVT", inbox, strings.Replace(strings.Replace(body, `"durable_name"`, `"description"`, 1), `"name"`, `"sample_freq"`, 1))
		a.says("$JS.API.CONSUMER.CREATE.KV_sky-records."+name, inbox, strings.Replace(body, "SKYBRIDGE_EVT", "KV_sky-records", 1))
		a.says("$JS.API.CONSUMER.CREATE.SKYBRIDGE_EVT."+name, inbox, strings.Replace(body, "SKYBRIDGE_EVT", "KV_sky-records", 1))
		a.says("sky.js.observe.CONSUMER.CREATE.SKYBRIDGE_EVT."+name, inbox, body)
		a.says("$JS.skybridge.API.CONSUMER.CREATE.SKYBRIDGE_EVT."+name, inbox, body)
	}
}

// misdirects asks everything that it may ask, and more, and names another subject
// than its inbox for the answer.
func (a *attacker) misdirects(to string) {
	a.Helper()
	for range 2 { // what one question answers another
		for subject, body := range map[string]string{
			"$JS.API.INFO":                                             "",
			"$JS.API.STREAM.NAMES":                                     "",
			"$JS.API.STREAM.LIST":                                      "",
			"$JS.API.STREAM.INFO.SKYBRIDGE_EVT":                        "",
			"$JS.API.STREAM.MSG.GET.SKYBRIDGE_EVT":                     `{"seq":1}`,
			"$JS.API.DIRECT.GET.SKYBRIDGE_EVT":                         `{"seq":1,"batch":3}`,
			"$JS.API.DIRECT.GET.SKYBRIDGE_EVT.sky.evt.node.started.n1": "",
			"$JS.API.CONSUMER.CREATE.SKYBRIDGE_EVT.mine":               `{"stream_name":"SKYBRIDGE_EVT","config":{"name":"mine","ack_policy":"explicit"}}`,
			"$JS.API.CONSUMER.CREATE.SKYBRIDGE_EVT.bad":                `{`,
			"$JS.API.CONSUMER.INFO.SKYBRIDGE_EVT.mine":                 "",
			"$JS.API.CONSUMER.NAMES.SKYBRIDGE_EVT":                     "",
			"$JS.API.CONSUMER.LIST.SKYBRIDGE_EVT":                      "",
			"$JS.API.CONSUMER.MSG.NEXT.SKYBRIDGE_EVT.mine":             `{"batch":1,"expires":1000000}`,
			"$JS.ACK.SKYBRIDGE_EVT.mine.1.1.1.1.0":                     `+NXT {"batch":1,"no_wait":true}`,
			"sky.api.conference.list":                                  "",
			"sky.api.conference.lock":                                  `{"room":"x"}`,
			"$SRV.PING":                                                "",
			"$SRV.INFO.skybridge":                                      "",
			"$SRV.STATS":                                               "",
		} {
			a.says(subject, to, body)
		}
		if err := a.Flush(); err != nil {
			a.Fatal(err)
		}
	}
}

// configures tries to change streams, so that they take or give what they should
// not, and to get at what is in them.
func (a *attacker) configures(to string) {
	a.Helper()
	stream := func(name, rest string) string {
		return fmt.Sprintf(`{"name":%q,"storage":"memory","retention":"limits",%s}`, name, rest)
	}
	for _, api := range []string{"$JS.API.", "$JS.skybridge.API.", "sky.js.observe."} {
		for i, rest := range []string{
			`"subjects":["sky.evt.>"],"republish":{"src":">","dest":"` + to + `"}`,
			`"subjects":["` + to + `"]`,
			`"mirror":{"name":"KV_sky-records"}`,
			`"sources":[{"name":"KV_sky-records","external":{"api":"$JS.API","deliver":"` + to + `"}}]`,
		} {
			name := fmt.Sprint("EVIL", i)
			a.says(api+"STREAM.CREATE."+name, "_INBOX.x", stream(name, rest))
			a.says(api+"STREAM.UPDATE.SKYBRIDGE_EVT", "_INBOX.x", stream("SKYBRIDGE_EVT", rest))
		}
		for subject, body := range map[string]string{
			"STREAM.DELETE.SKYBRIDGE_EVT": "", "STREAM.PURGE.SKYBRIDGE_EVT": "", "STREAM.MSG.DELETE.SKYBRIDGE_EVT": `{"seq":1}`,
			"STREAM.DELETE.KV_sky-records": "", "STREAM.PURGE.KV_sky-records": "",
			"STREAM.SNAPSHOT.KV_sky-records":                               `{"deliver_subject":"_INBOX.snapshot"}`,
			"STREAM.RESTORE.EVIL":                                          stream("EVIL", `"subjects":["evil"]`),
			"STREAM.MSG.GET.KV_sky-records":                                `{"seq":1}`,
			"STREAM.MSG.GET.SKYBRIDGE_EVT":                                 `{"last_by_subj":"$KV.sky-records.conference.standup"}`,
			"STREAM.INFO.KV_sky-records":                                   `{"subjects_filter":">"}`,
			"DIRECT.GET.KV_sky-records":                                    `{"seq":1}`,
			"DIRECT.GET.KV_sky-records.$KV.sky-records.conference.standup": "",
			"CONSUMER.CREATE.KV_sky-records":                               `{"stream_name":"KV_sky-records","config":{"deliver_subject":"_INBOX.y","ack_policy":"none"}}`,
		} {
			a.says(api+subject, "_INBOX.x", body)
		}
	}
	for _, subject := range []string{">", "*.>", "$KV.>", "$JS.>", "sky.>", "sky.a.>", "sky.js.>", "_INBOX.sky.>", "_R_.>"} {
		if _, err := a.Subscribe(subject, func(m *nats.Msg) {
			if strings.HasPrefix(m.Subject, "_INBOX.") || strings.HasPrefix(m.Subject, "sky.evt.") {
				return // what it may hear anyway; the server refuses to say so where it may not
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.reads = append(a.reads, m.Subject)
		}); err != nil {
			a.Fatal(err)
		}
	}
}

// TestAttack has integrations do to the nodes what they can: write the directory
// of owners, speak to actors, give commands, delete events, read state.
func TestAttack(t *testing.T) {
	servers := map[string]func(*testing.T) map[string]string{"embedded": startEmbedded, "documented": startDocumented}
	attacks := map[string]func(a *attacker, i int, to string){
		"publish": func(a *attacker, _ int, to string) { a.says(to, "", "{}") },
		"push": func(a *attacker, i int, to string) {
			a.pushes(fmt.Sprint("alone", i), to, "")
			a.pushes(fmt.Sprint("group", i), to, natsbus.ServiceName)
		},
		"reply":     func(a *attacker, _ int, to string) { a.misdirects(to) },
		"configure": func(a *attacker, _ int, to string) { a.configures(to) },
	}
	for server, start := range servers {
		for _, name := range []string{bus.AccessObserve, bus.AccessControl} {
			for how, attack := range attacks {
				t.Run(server+"/"+name+"/"+how, func(t *testing.T) {
					urls := start(t)
					v := newVictim(t, urls[bus.AccessNode])
					a := newAttacker(t, urls[name])
					targets := []string{
						"$KV.sky-records.conference.x", "sky.a.n1.x.u", "_INBOX.sky.x.y", "$JS.API.STREAM.PURGE.SKYBRIDGE_EVT",
						"$JS.API.STREAM.DELETE.SKYBRIDGE_EVT", "$JS.API.STREAM.DELETE.KV_sky-records",
					}
					if name == bus.AccessObserve {
						targets = append([]string{"sky.api.conference.lock", "sky.api.node.drain"}, targets...)
					}
					for i, to := range targets {
						attack(a, i, to)
						if err := a.Flush(); err != nil {
							t.Fatal(err)
						}
					}
					v.unharmed(t, a, name)
				})
			}
		}
	}
}

// TestServiceSeenByIntegrations lets integrations find both nodes, and ask them what
// they may. Neither hears what the other is told.
func TestServiceSeenByIntegrations(t *testing.T) {
	for server, start := range map[string]func(*testing.T) map[string]string{"embedded": startEmbedded, "documented": startDocumented} {
		t.Run(server, func(t *testing.T) {
			urls := start(t)
			newVictim(t, urls[bus.AccessNode])
			other := node(t, urls[bus.AccessNode])
			stop, err := other.Serve(natsbus.Service{Version: "1.0.0", Node: "n2", Program: "test"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stop(context.Background()) })
			control, observe := logIn(t, urls[bus.AccessControl]), logIn(t, urls[bus.AccessObserve])
			ears, err := control.SubscribeSync("_INBOX.>")
			if err != nil {
				t.Fatal(err)
			}
			if err := control.Flush(); err != nil {
				t.Fatal(err)
			}
			for _, verb := range []string{"PING", "INFO", "STATS"} {
				for _, subject := range []string{"$SRV." + verb, "$SRV." + verb + ".skybridge"} {
					inbox := observe.NewInbox()
					answers, err := observe.SubscribeSync(inbox)
					if err != nil {
						t.Fatal(err)
					}
					if err := observe.PublishRequest(subject, inbox, nil); err != nil {
						t.Fatal(err)
					}
					seen := map[string]bool{}
					for len(seen) < 2 {
						m, err := answers.NextMsg(10 * time.Second)
						if err != nil {
							t.Fatalf("%s: %v after %v", subject, err, seen)
						}
						var said struct {
							Name     string            `json:"name"`
							Metadata map[string]string `json:"metadata"`
						}
						if err := json.Unmarshal(m.Data, &said); err != nil || said.Name != natsbus.ServiceName {
							t.Fatalf("%s: %s, %v", subject, m.Data, err)
						}
						seen[said.Metadata["node"]] = true
					}
				}
			}
			if m, err := observe.Request("sky.api.conference.list", nil, 10*time.Second); err != nil || string(m.Data) != "{}" {
				t.Errorf("%v, %v", m, err)
			}
			if m, err := observe.Request("sky.api.conference.lock", nil, time.Second); err == nil {
				t.Errorf("observe is answered %s", m.Data)
			}
			if n, _, err := ears.Pending(); err != nil || n != 0 {
				t.Errorf("control hears %d messages to observe, %v", n, err)
			}
			if m, err := control.Request("sky.api.conference.lock", nil, 10*time.Second); err != nil || string(m.Data) != "{}" {
				t.Errorf("%v, %v", m, err)
			}
		})
	}
}

// unharmed looks what an attack has done.
func (v *victim) unharmed(t *testing.T, a *attacker, name string) {
	t.Helper()
	<-time.After(500 * time.Millisecond) // what is not to happen cannot be waited for
	v.mu.Lock()
	slices.Sort(v.heard)
	if heard := slices.Compact(v.heard); len(heard) > 0 {
		t.Errorf("the nodes hear of %s at %s", name, heard)
	}
	for _, c := range v.carried {
		if i := slices.IndexFunc(bus.Commands(), func(d bus.Command) bool { return d.Name == c }); name == bus.AccessObserve && !bus.Commands()[i].Reads {
			t.Errorf("%s has %s carried out", name, c)
			break
		}
	}
	v.mu.Unlock()
	a.mu.Lock()
	if len(a.reads) > 0 {
		t.Errorf("%s reads at %s", name, a.reads)
	}
	a.mu.Unlock()

	names := v.js.StreamNames(t.Context())
	for stream := range names.Name() {
		if strings.HasPrefix(stream, "EVIL") {
			t.Errorf("%s has made stream %s", name, stream)
		}
	}
	if err := names.Err(); err != nil {
		t.Error(err)
	}
	kv, err := v.js.KeyValue(t.Context(), "sky-records")
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := kv.Keys(t.Context()); err != nil || !slices.Equal(keys, []string{"conference.standup"}) {
		t.Errorf("the records are %s, %v", keys, err)
	}
	s, err := v.js.Stream(t.Context(), natsbus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	now := s.CachedInfo()
	if now.State.Msgs != v.stream.State.Msgs || now.State.FirstSeq != v.stream.State.FirstSeq || now.Created != v.stream.Created {
		t.Errorf("the events were %+v, and are %+v", v.stream.State, now.State)
	}
	was, _ := json.Marshal(v.stream.Config)
	if is, _ := json.Marshal(now.Config); !bytes.Equal(was, is) {
		t.Errorf("the stream was %s, and is %s", was, is)
	}
	consumers := s.ListConsumers(t.Context())
	for c := range consumers.Info() {
		if c.Config.DeliverSubject != "" {
			t.Errorf("%s has a consumer that delivers to %s", name, c.Config.DeliverSubject)
		}
	}
	if err := consumers.Err(); err != nil {
		t.Error(err)
	}
}

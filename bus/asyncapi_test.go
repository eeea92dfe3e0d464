package bus_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/skybridge-media/skybridge/bus"
)

const asyncapiPage = "../docs/asyncapi.yaml"

// TestDocsAsyncAPI compares docs/asyncapi.yaml with the types of events and
// commands. Run it with -update after a change that is meant.
func TestDocsAsyncAPI(t *testing.T) {
	want := asyncapi(t)
	if *update {
		if err := os.WriteFile(asyncapiPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(asyncapiPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code says; run go test ./bus -run TestDocs -update", asyncapiPage)
	}
}

// object is a JSON object.
type object = map[string]any

func ref(path ...string) object { return object{"$ref": "#/" + strings.Join(path, "/")} }

// asyncapi renders the AsyncAPI document: what the program sends, events, and
// what it receives, commands.
func asyncapi(t *testing.T) []byte {
	t.Helper()
	d := document{channels: object{}, operations: object{}, messages: object{}}
	docs := parseEvents(t)
	for _, e := range bus.Events() {
		d.event(e, docs[reflect.TypeOf(e).Name()])
	}
	d.messages["error"] = object{
		"title": "Why a command was not carried out",
		"headers": object{"type": "object", "required": []string{"Nats-Service-Error", "Nats-Service-Error-Code"}, "properties": object{
			"Nats-Service-Error":      object{"type": "string", "description": "the text"},
			"Nats-Service-Error-Code": object{"type": "string", "enum": []string{"400", "403", "404", "409", "500", "503"}},
		}},
		"payload": object{"type": "object", "required": []string{"code", "text"}, "properties": object{
			"code": object{"type": "string", "enum": []bus.Code{bus.Invalid, bus.Forbidden, bus.NotFound, bus.Conflict, bus.Internal, bus.Full, bus.Unavailable}},
			"text": object{"type": "string", "description": "names the field and the reason"},
		}},
	}
	for _, c := range bus.Commands() {
		d.command(c)
	}
	if n := len(bus.Events()) + len(bus.Commands()); len(d.operations) != n {
		t.Errorf("%d operations for %d events and commands", len(d.operations), n)
	}
	out := object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": "Skybridge", "version": "1.0.0",
			"description": "Events and commands of Skybridge on NATS. Generated from the code; docs/subjects.md is for people.",
			"license":     object{"name": "Apache-2.0"},
		},
		"defaultContentType": "application/json",
		"servers": object{"nats": object{
			"host": "127.0.0.1:4222", "protocol": "nats",
			"description": "The embedded server of skybridge serve --nats-port 4222, or the one that --nats names.",
			"security":    []object{ref("components", "securitySchemes", "password")},
		}},
		"channels": d.channels, "operations": d.operations,
		"components": object{
			"messages":        d.messages,
			"securitySchemes": object{"password": object{"type": "userPassword", "description": "User control or observe with the password in DATA/access, or that of your server. observe may send only the commands that read."}},
		},
	}
	var plain any
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &plain); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	text.WriteString("# Generated: go test ./bus -run TestDocs -update\n")
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	if err := enc.Encode(plain); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

type document struct{ channels, operations, messages object }

var placeholder = regexp.MustCompile(`<(\w+)>`)

func (d document) event(e bus.Event, doc eventDoc) {
	kind, typ := bus.KindOf(e), reflect.TypeOf(e)
	payload := bus.Schema(e, false)
	for f := range typ.Fields() {
		payload.Properties[f.Tag.Get("json")].Description = doc.fields[f.Name]
	}
	payload.Properties["id"] = &jsonschema.Schema{Type: "string", Description: "unique: an event that comes twice has the same id"}
	payload.Properties["time"] = &jsonschema.Schema{Type: "string", Format: "date-time", Description: "when it was published"}
	payload.Required = append([]string{"id", "time"}, payload.Required...)
	parameters, subject := object{}, pattern(e)
	for _, m := range placeholder.FindAllStringSubmatch(subject, -1) {
		parameters[m[1]] = object{"description": "the field of that name, escaped as docs/subjects.md says"}
	}
	key := "evt." + kind // a command may have the same name
	d.messages[key] = object{
		"name":  kind,
		"title": doc.text, "payload": payload,
		"headers": object{"type": "object", "required": []string{"Sky-Type", "Nats-Msg-Id"}, "properties": object{
			"Sky-Type": object{"type": "string", "const": kind}, "Nats-Msg-Id": object{"type": "string", "description": "the id"},
		}},
	}
	d.channels[key] = object{
		"address": placeholder.ReplaceAllString(subject, "{$1}"), "parameters": parameters,
		"messages": object{"event": ref("components", "messages", key)},
	}
	d.operations[key] = object{
		"action": "send", "summary": doc.text, "channel": ref("channels", key),
		"messages": []object{ref("channels", key, "messages", "event")},
	}
}

func (d document) command(c bus.Command) {
	key := "api." + c.Name
	request, response, reply := key+".request", key+".response", key+".reply"
	d.messages[request] = object{"title": c.Doc, "payload": bus.Schema(c.Request, true), "headers": object{
		"type": "object", "properties": object{"Nats-Msg-Id": object{"type": "string", "maxLength": 128, "description": "makes repeating it harmless, for two minutes"}},
	}}
	d.messages[response] = object{"title": "Answer to " + c.Name, "payload": bus.Schema(c.Response, false)}
	d.channels[key] = object{"address": c.Subject(), "messages": object{"request": ref("components", "messages", request)}}
	d.channels[reply] = object{"address": nil, "messages": object{
		"response": ref("components", "messages", response), "error": ref("components", "messages", "error"),
	}}
	d.operations[key] = object{
		"action": "receive", "summary": c.Doc, "channel": ref("channels", key),
		"messages": []object{ref("channels", key, "messages", "request")},
		"bindings": object{"nats": object{"queue": "skybridge"}},
		"reply": object{
			"channel":  ref("channels", reply),
			"messages": []object{ref("channels", reply, "messages", "response"), ref("channels", reply, "messages", "error")},
		},
	}
}

// TestAsyncAPIValid lets the parser of the AsyncAPI project judge the document,
// and one that has a mistake.
func TestAsyncAPIValid(t *testing.T) {
	dir := npm(t)
	page, err := os.ReadFile(asyncapiPage)
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Replace(page, []byte("action: receive"), []byte("action: perceive"), 1)
	for name, tt := range map[string]struct {
		text  []byte
		valid bool
	}{"ours": {page, true}, "wrong": {wrong, false}} {
		cmd := exec.Command("node", "validate.mjs")
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(tt.text)
		out, err := cmd.CombinedOutput()
		if (err == nil) != tt.valid {
			t.Errorf("%s: valid: %v, want %v\n%s", name, err == nil, tt.valid, out)
		}
	}
}

// validate reads a document and fails for what the parser calls an error.
const validate = `import { Parser } from '@asyncapi/parser';
let text = '';
for await (const chunk of process.stdin) text += chunk;
const { document, diagnostics } = await new Parser().parse(text);
const errors = diagnostics.filter((d) => d.severity === 0);
for (const d of errors) console.log(d.path.join('.'), d.message);
process.exit(document && errors.length === 0 ? 0 : 1);
`

// npm returns a directory with the parser, which is kept in the user's cache.
// Without node or the registry the test is skipped, and fails where all peers
// are required.
func npm(t *testing.T) string {
	t.Helper()
	missing := func(why ...any) {
		t.Helper()
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatal(why...)
		}
		t.Skip(why...)
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(tool, "is not installed")
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	const version = "3.6.3"
	dir := filepath.Join(cache, "skybridge-test", "asyncapi-"+version)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "installed")); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write("package.json", `{"name":"asyncapi","private":true,"type":"module","dependencies":{"@asyncapi/parser":"`+version+`"}}`)
		cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			missing("npm install: ", err, "\n", string(bytes.TrimSpace(out)))
		}
		write("installed", "")
	}
	write("validate.mjs", validate)
	return dir
}

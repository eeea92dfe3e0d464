package bus_test

import (
	_ "embed"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/bus"
)

var update = flag.Bool("update", false, "rewrite docs/subjects.md, docs/nats.conf and docs/asyncapi.yaml")

//go:embed testdata/subjects.md
var preamble string

const (
	page     = "../docs/subjects.md"
	natsConf = "../docs/nats.conf"
)

// TestDocs compares docs/subjects.md, and docs/nats.conf, with the code: the events with their
// comments, the commands with their tags, who may do what, and
// testdata/subjects.md around them. Run it with -update after a
// change that is meant.
func TestDocs(t *testing.T) {
	want := strings.NewReplacer(
		"{{events}}", events(t), "{{commands}}", commands(t), "{{accounts}}", accounts(),
	).Replace(preamble)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(natsConf, []byte(configuration(want)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{page: want, natsConf: configuration(want)} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the code says; run go test ./bus -run TestDocs -update", path)
		}
	}
}

// configuration is the NATS server's on the page, as a file: docker-compose.yml
// mounts it.
func configuration(page string) string {
	_, rest, _ := strings.Cut(page, "```conf\n")
	conf, _, _ := strings.Cut(rest, "```")
	return "# Generated: go test ./bus -run TestDocs -update\n" + conf
}

// events renders one section per kind.
func events(t *testing.T) string {
	docs := parseEvents(t)
	var b strings.Builder
	for _, e := range bus.Events() {
		typ := reflect.TypeOf(e)
		doc, ok := docs[typ.Name()]
		if !ok {
			t.Fatalf("%s has no doc comment", typ.Name())
		}
		delete(docs, typ.Name())
		fmt.Fprintf(&b, "### %s\n\n`%s`\n\n%s\n\n| field | type | meaning |\n| --- | --- | --- |\n", bus.KindOf(e), pattern(e), doc.text)
		for f := range typ.Fields() {
			name, kind := f.Tag.Get("json"), jsonType(f.Type)
			if name == "" || strings.Contains(name, ",") || doc.fields[f.Name] == "" || kind == "" {
				t.Errorf("%s.%s: needs a plain JSON name, a documented type and a comment", typ.Name(), f.Name)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, kind, doc.fields[f.Name])
		}
		b.WriteByte('\n')
	}
	for name := range docs {
		t.Errorf("%s is an event but missing from bus.Events", name)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// commands renders one section per command.
func commands(t *testing.T) string {
	var b strings.Builder
	for _, c := range bus.Commands() {
		fmt.Fprintf(&b, "### %s\n\n`%s`\n\n%s\n", c.Name, c.Subject(), c.Doc)
		table(t, &b, "request", reflect.TypeOf(c.Request))
		table(t, &b, "response", reflect.TypeOf(c.Response))
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// table renders the fields of a type; those of lists in it follow after a dot.
func table(t *testing.T, b *strings.Builder, what string, typ reflect.Type) {
	if typ.NumField() == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %s | type | meaning |\n| --- | --- | --- |\n", what)
	var rows func(typ reflect.Type, prefix string)
	rows = func(typ reflect.Type, prefix string) {
		for f := range typ.Fields() {
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			kind, doc := jsonType(f.Type), f.Tag.Get("jsonschema")
			list := f.Type.Kind() == reflect.Slice
			if list {
				kind = "list"
			}
			if name == "" || doc == "" || kind == "" {
				t.Errorf("%s.%s: needs a JSON name, a documented type and a tag jsonschema", typ.Name(), f.Name)
			}
			if option == "omitempty" {
				kind += ", optional"
			}
			fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, name, kind, doc)
			if list && f.Type.Elem().Kind() == reflect.Struct {
				rows(f.Type.Elem(), prefix+name+"[].")
			}
		}
	}
	rows(typ, "")
}

// accounts renders what a NATS server is to be configured with, passwords from
// its environment.
func accounts() string {
	return strings.TrimSuffix(bus.ServerAccounts(func(name string) string { return "$SKYBRIDGE_" + strings.ToUpper(name) }), "\n")
}

// pattern is the subject of an event with the JSON names of its identifiers.
func pattern(e bus.Event) string {
	v := reflect.New(reflect.TypeOf(e)).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String {
			f.SetString("x-" + v.Type().Field(i).Tag.Get("json"))
		}
	}
	tokens := strings.Split(v.Interface().(bus.Event).Subject(), ".")
	for i, tok := range tokens {
		if name, ok := strings.CutPrefix(tok, "x-"); ok {
			tokens[i] = "<" + name + ">"
		}
	}
	return strings.Join(tokens, ".")
}

func jsonType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[bus.Seconds]():
		return "number, seconds"
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Int:
		return "integer"
	case t.Kind() == reflect.Float64:
		return "number"
	}
	return ""
}

type eventDoc struct {
	text   string
	fields map[string]string
}

// parseEvents reads the comments of every type in this package that has a
// method Subject.
func parseEvents(t *testing.T) map[string]eventDoc {
	t.Helper()
	docs := map[string]eventDoc{}
	var withSubject []string
	for _, path := range []string{"event.go", "participant.go", "presentation.go", "message.go", "testcall.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "Subject" {
					withSubject = append(withSubject, d.Recv.List[0].Type.(*ast.Ident).Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok {
						docs[ts.Name.Name] = parseEvent(d, ts)
					}
				}
			}
		}
	}
	for name := range docs {
		if !slices.Contains(withSubject, name) {
			delete(docs, name)
		}
	}
	return docs
}

func parseEvent(d *ast.GenDecl, ts *ast.TypeSpec) eventDoc {
	doc := eventDoc{fields: map[string]string{}}
	text := strings.Join(strings.Fields(d.Doc.Text()), " ")
	if rest, ok := strings.CutPrefix(text, ts.Name.Name+" is "); ok {
		doc.text = strings.ToUpper(rest[:1]) + rest[1:]
	}
	if st, ok := ts.Type.(*ast.StructType); ok {
		for _, f := range st.Fields.List {
			for _, n := range f.Names {
				doc.fields[n.Name] = strings.TrimSpace(f.Comment.Text())
			}
		}
	}
	return doc
}

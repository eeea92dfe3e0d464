package bus

import (
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema returns the JSON schema of a struct type of this package, given any
// value of it. Fields are required unless they may be omitted. A request has no
// others: closed. What we say may get more fields with the next version: open.
func Schema(v any, closed bool) *jsonschema.Schema {
	s, err := jsonschema.ForType(reflect.TypeOf(v), &jsonschema.ForOptions{
		TypeSchemas: map[reflect.Type]*jsonschema.Schema{reflect.TypeFor[Seconds](): {Type: "number"}},
	})
	if err != nil {
		panic(fmt.Sprintf("bus: %T has no schema: %v", v, err)) // a type that a test would find
	}
	tidy(s, closed)
	return s
}

// tidy takes out that lists may be null, which ours never are, and of open
// schemas that there are no other fields.
func tidy(s *jsonschema.Schema, closed bool) {
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
	if !closed {
		s.AdditionalProperties = nil
	}
	for _, p := range s.Properties {
		tidy(p, closed)
	}
	if s.Items != nil {
		tidy(s.Items, closed)
	}
}

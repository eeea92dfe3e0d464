package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a client may send, in bytes. Descriptions are large, and so
// are the bodies that hold them.
const (
	maxBody = 512 << 10
	maxName = 255 // characters of a name
)

// decode reads the JSON body of a request into a T. No body at all is an empty
// one: clients send none where every member is optional.
func decode[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var v T
	b, err := slurp(w, r)
	if err != nil || len(b) == 0 {
		return v, err
	}
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if typ, _, err := mime.ParseMediaType(ct); err != nil || typ != "application/json" {
			return v, &failure{status: http.StatusUnsupportedMediaType, reason: "invalid", text: "Content-Type: want application/json"}
		}
	}
	return v, unmarshal(b, &v)
}

// slurp reads a body up to the bound.
func slurp(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &failure{status: http.StatusRequestEntityTooLarge, reason: "invalid", text: "body: too large"}
	}
	if err != nil {
		return nil, invalid("body", "incomplete")
	}
	return b, nil
}

// unmarshal says which member is wrong.
func unmarshal(b []byte, v any) error {
	err := json.Unmarshal(b, v)
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := typ.Field
		if field == "" {
			field = "body"
		}
		return invalid(field, "must not be "+typ.Value)
	}
	if err != nil {
		return invalid("body", "not JSON")
	}
	return nil
}

// name checks a name that is to be shown to others.
func name(field, s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", invalid(field, "not UTF-8")
	}
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control) {
			return -1 // they would reorder or hide the text around them
		}
		return r
	}, s))
	if utf8.RuneCountInString(s) > maxName {
		return "", invalid(field, "longer than 255 characters")
	}
	return s, nil
}

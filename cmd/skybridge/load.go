package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// maxConfigFile bounds what is read as a configuration, in bytes.
const maxConfigFile = 16 << 20

// load completes c, whose flags fs have been parsed: a flag on the command line
// wins over the environment, the environment over the file. It reports every
// problem at once; a configuration with problems is not to be used.
func (c *config) load(fs *pflag.FlagSet, environ []string) error {
	c.origin = map[string]string{}
	fs.Visit(func(f *pflag.Flag) { c.origin[f.Name] = "--" + f.Name })
	problems := c.fromEnvironment(fs, environ)
	if c.File != "" {
		problems = append(problems, c.fromFile(fs, c.File)...)
	}
	if problems = append(problems, c.validate()...); len(problems) > 0 {
		return fmt.Errorf("the configuration has mistakes:\n%w", errors.Join(problems...))
	}
	for i := range c.Rooms {
		c.Rooms[i].lines = nil // larger than the room, and only for messages
	}
	return nil
}

func (c *config) fromEnvironment(fs *pflag.FlagSet, environ []string) (problems []error) {
	slices.Sort(environ) // so that messages come in one order
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		name, ours := strings.CutPrefix(key, "SKYBRIDGE_")
		if !ours {
			continue
		}
		f := fs.Lookup(strings.ReplaceAll(strings.ToLower(name), "_", "-"))
		if f == nil || f.Name == "help" {
			problems = append(problems, fmt.Errorf("%s: no such setting", key))
			continue
		}
		if err := c.set(f, value, key); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// set gives a setting its value unless one with precedence has.
func (c *config) set(f *pflag.Flag, value, origin string) error {
	if _, taken := c.origin[f.Name]; taken {
		return nil
	}
	if err := f.Value.Set(value); err != nil {
		return fmt.Errorf("%s: %w", origin, plain(err))
	}
	c.origin[f.Name] = origin
	return nil
}

// plain says what strconv means.
func plain(err error) error {
	num, ok := errors.AsType[*strconv.NumError](err)
	switch {
	case !ok:
		return err
	case num.Func == "ParseBool":
		return fmt.Errorf("%q is neither true nor false", num.Num)
	case errors.Is(num.Err, strconv.ErrRange):
		return fmt.Errorf("%s is too large", num.Num)
	}
	return fmt.Errorf("%q is not a number", num.Num)
}

func (c *config) fromFile(fs *pflag.FlagSet, path string) (problems []error) {
	file, err := os.Open(path)
	if err != nil {
		return []error{fmt.Errorf("config: %w", err)}
	}
	defer file.Close()
	var doc yaml.Node
	if err := yaml.NewDecoder(io.LimitReader(file, maxConfigFile)).Decode(&doc); errors.Is(err, io.EOF) {
		return nil // an empty file sets nothing
	} else if err != nil {
		return []error{fmt.Errorf("%s: %w", path, err)}
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return []error{fmt.Errorf("%s:%d: want settings, one \"name: value\" a line", path, top.Line)}
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		at := fmt.Sprintf("%s:%d", path, key.Line)
		if line, twice := seen[key.Value]; twice {
			problems = append(problems, fmt.Errorf("%s: %s: set before in line %d", at, key.Value, line))
			continue
		}
		seen[key.Value] = key.Line
		if key.Value == "rooms" {
			rooms, errs := parseRooms(path, value)
			c.Rooms, problems = rooms, append(problems, errs...)
			continue
		}
		f := fs.Lookup(key.Value)
		if f == nil || f.Name == "help" || f.Name == "config" {
			problems = append(problems, fmt.Errorf("%s: %s: no such setting", at, key.Value))
			continue
		}
		text, ok := scalar(value)
		if !ok {
			problems = append(problems, fmt.Errorf("%s: %s: want a single value", at, key.Value))
			continue
		}
		if err := c.set(f, text, at+": "+key.Value); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// scalar returns the text of a value; a list of values reads as comma separated.
func scalar(n *yaml.Node) (string, bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, true
	case yaml.SequenceNode:
		var parts []string
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return "", false
			}
			parts = append(parts, item.Value)
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}

func parseRooms(path string, list *yaml.Node) (rooms []room, problems []error) {
	if list.Kind != yaml.SequenceNode {
		return nil, []error{fmt.Errorf("%s:%d: rooms: want a list", path, list.Line)}
	}
	for _, item := range list.Content {
		r := room{file: path, line: item.Line, lines: map[string]int{}}
		if item.Kind != yaml.MappingNode {
			problems = append(problems, fmt.Errorf("%s:%d: rooms: want \"name: …\" and so on", path, item.Line))
			continue
		}
		for i := 0; i+1 < len(item.Content); i += 2 {
			key, value := item.Content[i], item.Content[i+1]
			if line, twice := r.lines[key.Value]; twice {
				problems = append(problems, fmt.Errorf("%s:%d: rooms.%s: set before in line %d", path, key.Line, key.Value, line))
				continue
			}
			r.lines[key.Value] = key.Line
			if err := r.set(key.Value, value); err != nil {
				problems = append(problems, fmt.Errorf("%s:%d: rooms.%s: %w", path, key.Line, key.Value, err))
			}
		}
		rooms = append(rooms, r)
	}
	return rooms, problems
}

func (r *room) set(key string, n *yaml.Node) error {
	var err error
	want := "a single value"
	switch key {
	case "name":
		err = n.Decode(&r.Name)
	case "aliases":
		err, want = n.Decode(&r.Aliases), "a list, such as [a, b]"
	case "limit":
		err, want = n.Decode(&r.Limit), "a number"
	case "layout":
		err = n.Decode(&r.Layout)
	case "self-view":
		err = n.Decode(&r.SelfView)
	case "type":
		err = n.Decode(&r.Type)
	case "duration":
		err, want = n.Decode(&r.Duration), "a time, such as 90s"
	case "host-pin":
		r.HostPIN, err = pin(n)
	case "guest-pin":
		r.GuestPIN, err = pin(n)
	case "allow-guests":
		err, want = yesNo(n, &r.AllowGuests), "true or false"
	case "guests-can-present":
		err, want = yesNo(n, &r.GuestsCanPresent), "true or false"
	default:
		return errors.New("no such setting; there are name, aliases, limit, layout, self-view, type, duration, host-pin, guest-pin, allow-guests and guests-can-present")
	}
	if err != nil {
		return fmt.Errorf("want %s", want)
	}
	return nil
}

// pin returns the text of a value as it is written: 0042 is no number here.
func pin(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", errors.New("not a single value")
	}
	return n.Value, nil
}

// yesNo sets *to if the value is true or false.
func yesNo(n *yaml.Node, to **bool) error {
	var b bool
	err := n.Decode(&b)
	if err == nil {
		*to = &b
	}
	return err
}

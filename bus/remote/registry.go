package remote

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Numbers of what this package sends itself. Numbers are never reused; those
// from FirstNumber on are for the messages of actors.
const (
	numWatch      = 1
	numUnwatch    = 2
	numTerminated = 3
	numStop       = 4

	numPoisonPill = 5
	numDeadLetter = 6
	numTouch      = 7
	numTouched    = 8
	numError      = 9  // *bus.Error
	numProbe      = 10 // the link's own, see probe
	numBuried     = 11 // the receiver has been taken for dead

	// FirstNumber is the first number that [Registry.Add] accepts.
	FirstNumber = 100
)

// A Registry is the closed list of message types that may cross nodes. Both
// ends know a type by its number, so a number keeps its meaning for ever:
// types are appended, never renumbered. It is filled before [New] and not
// changed afterwards.
type Registry struct {
	byNumber map[uint32]protoreflect.MessageType
	byName   map[protoreflect.FullName]uint32

	// address is, for each type that is an actor's address, the field that
	// holds the node.
	address map[protoreflect.FullName]protoreflect.FieldDescriptor

	// carries tells which types have an address somewhere inside.
	carries map[protoreflect.FullName]bool
}

// NewRegistry returns a registry of protoactor's own messages.
func NewRegistry() *Registry {
	r := &Registry{
		byNumber: map[uint32]protoreflect.MessageType{},
		byName:   map[protoreflect.FullName]uint32{},
		address:  map[protoreflect.FullName]protoreflect.FieldDescriptor{},
	}
	r.add(numWatch, &actor.Watch{})
	r.add(numUnwatch, &actor.Unwatch{})
	r.add(numTerminated, &actor.Terminated{})
	r.add(numStop, &actor.Stop{})
	r.add(numPoisonPill, &actor.PoisonPill{})
	r.add(numDeadLetter, &actor.DeadLetterResponse{})
	r.add(numTouch, &actor.Touch{})
	r.add(numTouched, &actor.Touched{})
	r.AddAddress(&actor.PID{}, "Address")
	return r
}

// Add lets messages of m's type cross nodes as number. It panics for a number
// below [FirstNumber] and for one, or a type, that is there already: both are
// mistakes in the program.
func (r *Registry) Add(number uint32, m proto.Message) {
	if number < FirstNumber {
		panic(fmt.Sprintf("remote: number %d is reserved", number))
	}
	r.add(number, m)
}

func (r *Registry) add(number uint32, m proto.Message) {
	t := m.ProtoReflect().Type()
	name := t.Descriptor().FullName()
	if _, ok := r.byNumber[number]; ok {
		panic(fmt.Sprintf("remote: number %d is taken", number))
	}
	if _, ok := r.byName[name]; ok {
		panic(fmt.Sprintf("remote: %s has a number already", name))
	}
	r.byNumber[number] = t
	r.byName[name] = number
}

// AddAddress says that messages of m's type, wherever they occur inside others,
// are addresses of actors with the node in the given string field. Addresses
// are translated on arrival: "nonhost" becomes the sender's address, and the
// receiver's own address becomes "nonhost". It panics when there is no such
// field.
func (r *Registry) AddAddress(m proto.Message, field protoreflect.Name) {
	d := m.ProtoReflect().Descriptor()
	f := d.Fields().ByName(field)
	if f == nil || f.Kind() != protoreflect.StringKind || f.Cardinality() == protoreflect.Repeated {
		panic(fmt.Sprintf("remote: %s has no string field %s", d.FullName(), field))
	}
	r.address[d.FullName()] = f
}

// Table lists numbers and types, one per line, for a test that keeps anybody
// from changing one.
func (r *Registry) Table() string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(r.byNumber)) {
		fmt.Fprintf(&b, "%d %s\n", n, r.byNumber[n].Descriptor().FullName())
	}
	return b.String()
}

// compile returns a copy that is ready for use by many goroutines.
func (r *Registry) compile() *Registry {
	c := &Registry{
		byNumber: maps.Clone(r.byNumber),
		byName:   maps.Clone(r.byName),
		address:  maps.Clone(r.address),
		carries:  map[protoreflect.FullName]bool{},
	}
	for _, t := range c.byNumber {
		c.explore(t.Descriptor())
	}
	return c
}

// explore finds out which types carry addresses, at any depth. Types that
// contain themselves need more than one round to settle.
func (r *Registry) explore(d protoreflect.MessageDescriptor) {
	reached := map[protoreflect.FullName]protoreflect.MessageDescriptor{}
	var visit func(protoreflect.MessageDescriptor)
	visit = func(d protoreflect.MessageDescriptor) {
		if _, ok := reached[d.FullName()]; ok {
			return
		}
		reached[d.FullName()] = d
		for _, inner := range innerTypes(d) {
			visit(inner)
		}
	}
	visit(d)
	for changed := true; changed; {
		changed = false
		for name, d := range reached {
			carries := r.address[name] != nil || slices.ContainsFunc(innerTypes(d),
				func(i protoreflect.MessageDescriptor) bool { return r.carries[i.FullName()] })
			if carries && !r.carries[name] {
				r.carries[name], changed = true, true
			}
		}
	}
}

// innerTypes are the types of the message fields of d, map values included.
func innerTypes(d protoreflect.MessageDescriptor) (inner []protoreflect.MessageDescriptor) {
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.IsMap() {
			f = f.MapValue()
		}
		if f.Message() != nil {
			inner = append(inner, f.Message())
		}
	}
	return inner
}

// errType is in the tree of errors about types that are not in the registry.
var errType = errors.New("remote: message type is not registered")

// numberOf returns the number of m's type.
func (r *Registry) numberOf(m proto.Message) (uint32, error) {
	name := m.ProtoReflect().Descriptor().FullName()
	number, ok := r.byName[name]
	if !ok {
		return 0, fmt.Errorf("%w: %s", errType, name)
	}
	return number, nil
}

// unmarshal returns a new message of the type with that number.
func (r *Registry) unmarshal(number uint32, payload []byte) (proto.Message, error) {
	t, ok := r.byNumber[number]
	if !ok {
		return nil, fmt.Errorf("%w: number %d", errType, number)
	}
	m := t.New().Interface()
	return m, proto.Unmarshal(payload, m)
}

// translate replaces the node of every address inside m.
func (r *Registry) translate(m protoreflect.Message, f func(node string) string) {
	name := m.Descriptor().FullName()
	if !r.carries[name] {
		return
	}
	if field := r.address[name]; field != nil {
		if node := m.Get(field).String(); f(node) != node {
			m.Set(field, protoreflect.ValueOfString(f(node)))
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					r.translate(v.Message(), f)
					return true
				})
			}
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				r.translate(v.List().Get(i).Message(), f)
			}
		default:
			r.translate(v.Message(), f)
		}
		return true
	})
}

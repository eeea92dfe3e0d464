package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/testcall"
	"github.com/skybridge-media/skybridge/media/compose"
)

// config is everything an operator can set. Flags, environment and file fill
// it; validate says what is wrong with it. Each field has one flag, and that
// flag's name is its key in the file and, upper case after SKYBRIDGE_, in the
// environment.
type config struct {
	Name  string
	Roles []string
	File  string
	Data  string

	Bind     addrFlag
	Public   string
	SIPPort  uint16
	SIPSPort uint16
	HTTPS    uint16
	RTP      portRange
	WebRTC   uint16
	NATS     string
	NATSBind addrFlag
	NATSPort int
	Ops      string

	SRTP     string
	WHIPFile string // holds the token of who may publish
	WHEPFile string // likewise of who may watch
	MaxCalls int
	Capacity float64 // HD calls; zero: measure
	Reserved int     // CPUs
	Log      levelFlag

	AdHoc         bool
	AdHocLayout   string
	AdHocSelfView string
	Rooms         []room

	origin map[string]string // field -> where its value came from, for messages
}

// room is one configured room.
type room struct {
	Name     string
	Aliases  []string
	Limit    int
	Layout   string
	SelfView string
	Type     string        // roomConference, also if empty, or roomTest
	Duration time.Duration // of test calls

	HostPIN, GuestPIN string
	AllowGuests       *bool // nil: if there is a guest PIN
	GuestsCanPresent  *bool // nil: they can

	file  string
	line  int            // where it begins
	lines map[string]int // where each of its settings is
}

// Types of rooms.
const (
	roomConference = "conference"
	roomTest       = "test-call"

	// adHocTest is the test call of who opens rooms for any alias. It is not
	// called "test", as people like to call rooms that.
	adHocTest = "test-call"

	// maxTest bounds a test call, which takes twice what another call does.
	maxTest = 10 * time.Minute
)

// maxCapacity bounds what can be set, in HD calls: more than any machine has.
const maxCapacity = 1_000_000

// knownRoles are the roles that this program can play today.
var knownRoles = []string{"management", "signalling", "media"}

// flags declares every setting once. The help text is the reference.
func (c *config) flags(fs *pflag.FlagSet) {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "skybridge"
	}
	c.Bind.addr = netip.IPv4Unspecified()
	c.NATSBind.addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	c.RTP = portRange{40000, 49999}
	fs.SortFlags = false
	fs.StringVar(&c.Name, "name", token(host), "`name` of this node, unique in the cluster: letters, digits, - and _")
	fs.StringSliceVar(&c.Roles, "roles", knownRoles, "`list` of what this node does, comma separated: "+strings.Join(knownRoles, ", "))
	fs.StringVar(&c.File, "config", "", "YAML `file` with any of these settings (without the dashes) and rooms")
	fs.StringVar(&c.Data, "data", defaultData(), "`directory` for what must survive a restart")
	fs.Var(&c.Bind, "bind", "`address` that all listeners for calls bind to")
	fs.StringVar(&c.Public, "public-address", "", "`address` at which others reach us, when it is not the one we bind to (static NAT)")
	fs.Uint16Var(&c.SIPPort, "sip-port", 5060, "`port` for SIP over UDP and TCP; 0 picks a free one, here and below")
	fs.Uint16Var(&c.SIPSPort, "sips-port", 5061, "`port` for SIP over TLS")
	fs.Uint16Var(&c.HTTPS, "https-port", 8443, "`port` for the web page, the client API, WHIP and WHEP")
	fs.Var(&c.RTP, "rtp-ports", "UDP `ports` for media of SIP calls, FIRST-LAST")
	fs.Uint16Var(&c.WebRTC, "webrtc-port", 8444, "`port` for media of browsers, UDP and TCP")
	fs.StringVar(&c.NATS, "nats", "", "`URL` of a NATS cluster with JetStream; empty runs an embedded server")
	fs.IntVar(&c.NATSPort, "nats-port", 0, "`port` of the embedded NATS server, for integrations and further nodes; 0 picks a free one")
	fs.Var(&c.NATSBind, "nats-bind", "`address` of the embedded NATS server; any but a loopback address is for TLS only")
	fs.StringVar(&c.Ops, "ops", "127.0.0.1:9464", "`address` for /metrics, /healthz, /readyz and profiles, plain HTTP; empty for none")
	fs.StringVar(&c.SRTP, "srtp", "optional", "`when` SIP calls use SRTP: off, optional (if it is offered) or required")
	fs.StringVar(&c.WHIPFile, "whip-token-file", "", "`file` with the bearer token that publishers (WHIP) must have; empty: anybody may publish")
	fs.StringVar(&c.WHEPFile, "whep-token-file", "", "`file` with the bearer token that viewers (WHEP) must have; empty: anybody may watch")
	fs.IntVar(&c.MaxCalls, "max-calls", 0, "most `calls` this node takes at a time; 0 means as many as --rtp-ports allow")
	fs.Float64Var(&c.Capacity, "capacity", 0, "how many HD `calls` this node's CPU can carry, each with a picture of its own; 0 measures it")
	fs.IntVar(&c.Reserved, "reserved-cpus", 0, "`number` of CPUs that calls leave to other programs, when --capacity is measured")
	fs.Var(&c.Log, "log", "lowest `level` to log: debug, info, warn or error")
	fs.BoolVar(&c.AdHoc, "adhoc", false, "open a room for any alias that is dialled and not configured")
	fs.StringVar(&c.AdHocLayout, "adhoc-layout", "1+7", "`layout` of ad hoc rooms: "+strings.Join(compose.Layouts(), ", "))
	fs.StringVar(&c.AdHocSelfView, "adhoc-self-view", "hidden", "`view` of oneself in ad hoc rooms: hidden (nobody sees itself) or shown (everybody shares one view)")
}

// validate returns everything that is wrong, each with where the value came
// from, the field and the reason.
func (c *config) validate() (problems []error) {
	wrong := func(field, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %s", c.where(field), fmt.Sprintf(format, args...)))
	}
	if c.Name != token(c.Name) || c.Name == "" {
		wrong("name", "%q may have letters, digits, - and _ only", c.Name)
	}
	for _, r := range c.Roles {
		if !slices.Contains(knownRoles, r) {
			wrong("roles", "no role %q; there are %s", r, strings.Join(knownRoles, ", "))
		}
	}
	if !slices.Contains(c.Roles, "signalling") && !slices.Contains(c.Roles, "media") {
		wrong("roles", "a node needs signalling or media; management alone takes no calls")
	}
	if c.Public != "" {
		if _, err := netip.ParseAddr(c.Public); err != nil {
			wrong("public-address", "%q is not an IP address", c.Public)
		}
	}
	if c.Ops != "" {
		if _, err := netip.ParseAddrPort(c.Ops); err != nil {
			wrong("ops", "%q is not an address with a port, such as 127.0.0.1:9464", c.Ops)
		}
	}
	if !slices.Contains([]string{"off", "optional", "required"}, c.SRTP) {
		wrong("srtp", "%q is not one of off, optional, required", c.SRTP)
	}
	for field, file := range map[string]string{"whip-token-file": c.WHIPFile, "whep-token-file": c.WHEPFile} {
		if _, err := readToken(file); err != nil {
			wrong(field, "%v", err)
		}
	}
	if c.MaxCalls < 0 {
		wrong("max-calls", "%d is negative", c.MaxCalls)
	}
	if !(c.Capacity >= 0 && c.Capacity <= maxCapacity) {
		wrong("capacity", "%v is not between 0 and %d", c.Capacity, maxCapacity)
	}
	if cpus := runtime.NumCPU(); c.Reserved < 0 || c.Reserved >= cpus {
		wrong("reserved-cpus", "%d leaves nothing of the %d CPUs here, or is negative", c.Reserved, cpus)
	}
	if c.Capacity > 0 && c.Reserved > 0 {
		wrong("reserved-cpus", "capacity is given, so nothing is measured that could be reserved from")
	}
	if c.NATS != "" && c.NATSPort != 0 {
		wrong("nats-port", "there is no embedded server when nats is set")
	}
	if c.NATS != "" && c.origin["nats-bind"] != "" {
		wrong("nats-bind", "there is no embedded server when nats is set")
	}
	if c.NATSPort < 0 || c.NATSPort > 65535 {
		wrong("nats-port", "%d is not a port", c.NATSPort)
	}
	if why := badLayout(c.AdHocLayout); why != "" {
		wrong("adhoc-layout", "%s", why)
	}
	if why := badSelfView(c.AdHocSelfView); why != "" {
		wrong("adhoc-self-view", "%s", why)
	}
	return append(problems, validateRooms(c.Rooms)...)
}

// where names a field the way the operator wrote it.
func (c *config) where(field string) string {
	if o := c.origin[field]; o != "" {
		return o
	}
	return "--" + field
}

func validateRooms(rooms []room) (problems []error) {
	owner := map[string]int{} // alias -> index of its room
	for i, r := range rooms {
		wrong := func(field, format string, args ...any) {
			line := cmp.Or(r.lines[field], r.line)
			problems = append(problems, fmt.Errorf("%s:%d: rooms.%s: %s", r.file, line, field, fmt.Sprintf(format, args...)))
		}
		if r.Name == "" {
			wrong("name", "every room needs one")
			continue
		}
		for _, alias := range append([]string{r.Name}, r.Aliases...) {
			key := conference.NormalizeAlias(alias)
			if key == "" {
				wrong("aliases", "%q is empty", alias)
			} else if other, taken := owner[key]; taken && other != i {
				wrong("aliases", "%q already leads to room %q of line %d", alias, rooms[other].Name, rooms[other].line)
			} else {
				owner[key] = i
			}
		}
		if r.Limit < 0 {
			wrong("limit", "%d is negative", r.Limit)
		}
		if why := badLayout(r.Layout); r.Layout != "" && why != "" {
			wrong("layout", "%s", why)
		}
		switch {
		case r.Type != "" && r.Type != roomConference && r.Type != roomTest:
			wrong("type", "%q is neither %s nor %s", r.Type, roomConference, roomTest)
		case r.Type != roomTest && r.lines["duration"] > 0:
			wrong("duration", "only a room of type %s has one", roomTest)
		case r.Type == roomTest && r.Duration != 0 && (r.Duration < testcall.MinDuration || r.Duration > maxTest):
			wrong("duration", "%v is not between %v and %v", r.Duration, testcall.MinDuration, maxTest)
		}
		for _, field := range []string{"limit", "layout", "self-view", "host-pin", "guest-pin", "allow-guests", "guests-can-present"} {
			if r.Type == roomTest && r.lines[field] > 0 {
				wrong(field, "a room of type %s has none", roomTest)
			}
		}
		if why := badSelfView(r.SelfView); r.SelfView != "" && why != "" {
			wrong("self-view", "%s", why)
		}
		if r.Type != roomTest {
			r.validatePINs(wrong)
		}
	}
	return problems
}

func (r *room) validatePINs(wrong func(field, format string, args ...any)) {
	for _, p := range []struct{ field, pin string }{{"host-pin", r.HostPIN}, {"guest-pin", r.GuestPIN}} {
		if why := badPIN(p.pin); p.pin != "" && why != "" {
			wrong(p.field, "%s", why)
		}
	}
	switch {
	case r.HostPIN == "" && r.GuestPIN != "":
		wrong("guest-pin", "without a host-pin everybody is a host")
	case r.HostPIN == "" && r.AllowGuests != nil:
		wrong("allow-guests", "without a host-pin everybody is a host")
	case r.HostPIN != "" && strings.TrimSuffix(r.HostPIN, "#") == strings.TrimSuffix(r.GuestPIN, "#"):
		wrong("guest-pin", "is the host-pin as well")
	case r.GuestPIN != "" && r.AllowGuests != nil && !*r.AllowGuests:
		wrong("guest-pin", "allow-guests is false")
	}
}

// badPIN does not repeat the PIN: mistakes are printed, and logged.
func badPIN(pin string) string {
	digits := strings.TrimSuffix(pin, "#")
	if n := len(digits); n < 4 || n > 20 || strings.Trim(digits, "0123456789") != "" {
		return "want 4 to 20 digits, and # at the end if you like"
	}
	return ""
}

func badLayout(name string) string {
	if slices.Contains(compose.Layouts(), name) {
		return ""
	}
	return fmt.Sprintf("no layout %q; there are %s", name, strings.Join(compose.Layouts(), ", "))
}

func badSelfView(s string) string {
	if s == "hidden" || s == "shown" {
		return ""
	}
	return fmt.Sprintf("%q is neither hidden nor shown", s)
}

// conferences returns the configured rooms as the actors want them.
func (c *config) conferences() []conference.Config {
	out := make([]conference.Config, 0, len(c.Rooms))
	for _, r := range c.Rooms {
		layout := r.Layout
		if layout == "" {
			layout = "1+7"
		}
		if r.Type == roomTest {
			out = append(out, conference.Config{Name: r.Name, Aliases: r.Aliases, Test: cmp.Or(r.Duration, testcall.DefaultDuration)})
			continue
		}
		out = append(out, conference.Config{
			Name: r.Name, Aliases: r.Aliases, Limit: r.Limit, Layout: layout, SelfView: r.SelfView == "shown",
			HostPIN: r.HostPIN, GuestPIN: r.GuestPIN, AllowGuests: isTrue(r.AllowGuests, r.GuestPIN != ""),
			OnlyHostsPresent: !isTrue(r.GuestsCanPresent, true),
		})
	}
	if c.AdHoc && !c.leads(adHocTest) {
		out = append(out, conference.Config{Name: adHocTest, Test: testcall.DefaultDuration})
	}
	return out
}

// leads reports whether a configured room has that name or alias.
func (c *config) leads(alias string) bool {
	return slices.ContainsFunc(c.Rooms, func(r room) bool {
		return slices.ContainsFunc(append([]string{r.Name}, r.Aliases...), func(a string) bool {
			return conference.NormalizeAlias(a) == alias
		})
	})
}

// isTrue returns what was set, or what is so otherwise.
func isTrue(set *bool, otherwise bool) bool {
	if set == nil {
		return otherwise
	}
	return *set
}

// adHoc returns the template of ad hoc rooms, nil when they are off.
func (c *config) adHoc() *conference.Config {
	if !c.AdHoc {
		return nil
	}
	return &conference.Config{Layout: c.AdHocLayout, SelfView: c.AdHocSelfView == "shown"}
}

// defaultData is where a service keeps state, or where a user does.
func defaultData() string {
	if os.Getuid() == 0 {
		return "/var/lib/skybridge"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "skybridge")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "skybridge")
	}
	return filepath.Join(os.TempDir(), "skybridge-"+runtime.GOOS)
}

// token maps a host name onto the letters that a node name may have.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, s)
}

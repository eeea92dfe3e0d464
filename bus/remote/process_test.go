package remote_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
	"github.com/skybridge-media/skybridge/bus/remote"
)

// cluster is a node as the program wires it: two connections, actors, and the
// directory, which together agree on one address.
type cluster struct {
	bus *natsbus.Bus
	sys *actor.ActorSystem
	rem *remote.Remote
	dir *claim.Directory
}

// joinCluster starts a node. tell is given every event.
func joinCluster(ctx context.Context, url, name string, log *slog.Logger, tell func(any)) (*cluster, error) {
	b, err := natsbus.Connect(ctx, natsbus.Config{URL: url, Node: name, Log: log})
	if err != nil {
		return nil, err
	}
	c := &cluster{bus: b, sys: newSystem()}
	c.rem, err = remote.New(c.sys, b.Actors(), remote.Config{
		Node: name, Registry: registry(), Log: log,
		Allow: func(id string) bool { return strings.HasPrefix(id, "open/") },
	})
	if err != nil {
		return nil, err
	}
	c.dir, err = claim.New(ctx, b.Data(), claim.Config{
		Node: name, Address: c.rem.Address(), Log: log,
		Notify: func(e any) {
			if e, ok := e.(*claim.Fenced); ok {
				c.rem.Renew(e.Address)
			}
			tell(e)
		},
	})
	if err != nil {
		return nil, err
	}
	c.sys.EventStream.Subscribe(func(e any) {
		switch e := e.(type) {
		case *remote.Renewed:
			c.dir.Readdress(e.Address)
			tell(e)
		case *remote.PeerUp, *remote.PeerDown, *remote.LinkGap, *remote.Replaced:
			tell(e)
		}
	})
	_, err = c.sys.Root.SpawnNamed(actor.PropsFromFunc(echo), "open/echo")
	return c, errors.Join(err, c.dir.Joined(ctx))
}

func (c *cluster) close() {
	_ = c.dir.Close()
	_ = c.rem.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.bus.Close(ctx)
	c.sys.Shutdown()
}

const (
	childName = "SKYBRIDGE_TEST_CHILD"
	childURL  = "SKYBRIDGE_TEST_URL"
)

// runChild is a node process: it obeys lines on its input and reports on its
// output, until the input ends.
func runChild() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	say := func(format string, v ...any) { fmt.Printf(format+"\n", v...) }
	c, err := joinCluster(ctx, os.Getenv(childURL), os.Getenv(childName), slog.New(slog.NewTextHandler(os.Stderr, nil)), func(e any) {
		if e, ok := e.(*remote.Renewed); ok {
			say("renewed %s", e.Address)
		}
	})
	if err != nil {
		return err
	}
	defer c.close()
	say("up %s", c.rem.Address())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		verb, name, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "claim":
			say("%s", tryClaim(c.dir, name))
		case "race": // for as many names as it says
			var n int
			if _, err := fmt.Sscan(name, &n); err != nil {
				return err
			}
			for i := range n {
				say("%s", tryClaim(c.dir, fmt.Sprint("conference.", i)))
			}
		default:
			return fmt.Errorf("unknown command %q", in.Text())
		}
	}
	return nil
}

func tryClaim(d *claim.Directory, name string) string {
	o, err := d.Claim(context.Background(), name)
	if err != nil {
		return "error " + strings.ReplaceAll(err.Error(), " ", "_")
	}
	return fmt.Sprintf("owner %s %s %d %v", name, o.Address, o.Epoch, o.Mine)
}

// process is such a node, seen from the test.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
}

func startProcess(t *testing.T, url, name string) (*process, string) {
	t.Helper()
	p := &process{t: t, lines: make(chan string, 10_000)}
	p.cmd = exec.Command(os.Args[0], "-test.run=^$")
	p.cmd.Env = append(os.Environ(), childName+"="+name, childURL+"="+url)
	p.cmd.Stderr = testWriter{t}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-read
		_ = p.cmd.Wait()
	})
	return p, p.expect("up")[0]
}

func (p *process) tell(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
}

// expect returns what follows the verb in the next line that begins with it.
func (p *process) expect(verb string) []string {
	p.t.Helper()
	for {
		fields := strings.Fields(receiveWithin(p.t, p.lines, 30*time.Second))
		switch {
		case len(fields) > 0 && fields[0] == verb:
			return fields[1:]
		case len(fields) > 0 && fields[0] == "error":
			p.t.Fatalf("process says %v", fields)
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// local is a node of the test's own process.
type localNode struct {
	*cluster
	*node // for its helpers only
}

func startLocal(t *testing.T, url, name string) *localNode {
	t.Helper()
	n := &node{t: t, events: make(chan any, 1000)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := joinCluster(ctx, url, name, slog.New(slog.NewTextHandler(testWriter{t}, nil)), func(e any) { n.events <- e })
	if err != nil {
		t.Fatal(err)
	}
	n.Remote, n.sys, n.nc = c.rem, c.sys, c.bus.Actors()
	t.Cleanup(c.close)
	return &localNode{c, n}
}

// takeOver claims name until it is ours.
func (l *localNode) takeOver(t *testing.T, name string) claim.Owner {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		o, err := l.dir.Claim(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if o.Mine {
			return o
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("%s was never ours", name)
	panic("unreachable")
}

// TestProcessLost kills, or freezes, another process that owns a conference.
// Its watchers know within two seconds, another process takes over with a
// higher epoch, and a frozen one that wakes up takes a new incarnation and finds
// its name gone.
func TestProcessLost(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		t.Run(sig.String(), func(t *testing.T) {
			url := bustest.Serve(t, embedded.Config{}).URL()
			a := startLocal(t, url, "A")
			b, address := startProcess(t, url, "B")
			b.tell("claim conference.r")
			owner := b.expect("owner")
			if owner[1] != address || owner[3] != "true" {
				t.Fatalf("B claims and gets %v", owner)
			}
			var epoch uint64
			if _, err := fmt.Sscan(owner[2], &epoch); err != nil {
				t.Fatal(err)
			}
			pid := actor.NewPID(address, "open/echo")
			w, told := a.watcher()
			a.watchNow(w, told, pid)
			if got := a.ask(pid, wrapperspb.String("x")).(*wrapperspb.StringValue).Value; got != "x" {
				t.Fatalf("B answers %q", got)
			}

			stalled := stalls(t)
			began := time.Now()
			b.signal(sig)
			if got := receive(t, told); got.Why != actor.TerminatedReason_AddressTerminated {
				t.Errorf("told %v", got.Why)
			}
			took := time.Since(began) - stalled()
			if took > noticeWithin {
				t.Errorf("noticed after %v, want less than %v", took, noticeWithin)
			}
			o := a.takeOver(t, "conference.r")
			if o.Epoch <= epoch {
				t.Errorf("epoch %d after %d", o.Epoch, epoch)
			}
			t.Logf("noticed after %v, taken over after %v", took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			if sig == syscall.SIGKILL {
				return
			}

			began = time.Now()
			b.signal(syscall.SIGCONT)
			renewed := b.expect("renewed")[0]
			t.Logf("renewed %v after it woke up", time.Since(began).Round(time.Millisecond))
			if renewed == address {
				t.Errorf("renewed to the same address %s", renewed)
			}
			for next[*remote.PeerUp](a.node).Address != renewed {
			}
			if got, ok := a.ask(actor.NewPID(renewed, "open/echo"), wrapperspb.String("y")).(*wrapperspb.StringValue); !ok || got.Value != "y" {
				t.Errorf("the same actor answers %v", got)
			}
			if got, ok := a.ask(pid, wrapperspb.String("z")).(*actor.DeadLetterResponse); !ok {
				t.Errorf("the old address answers %v", got)
			}
			for {
				b.tell("claim conference.r")
				line := receiveWithin(t, b.lines, 30*time.Second)
				if strings.HasPrefix(line, "owner ") {
					if f := strings.Fields(line); f[2] != a.Address() || f[4] != "false" {
						t.Errorf("B claims and gets %v", f)
					}
					return
				}
			}
		})
	}
}

// TestProcessesRace lets processes claim the same names at once.
func TestProcessesRace(t *testing.T) {
	const names = 200
	url := bustest.Serve(t, embedded.Config{}).URL()
	var processes []*process
	for _, name := range []string{"A", "B"} {
		p, _ := startProcess(t, url, name)
		processes = append(processes, p)
	}
	for _, p := range processes {
		p.tell(fmt.Sprint("race ", names))
	}
	owners := map[string]string{}
	mine := map[string]int{}
	for _, p := range processes {
		for range names {
			o := p.expect("owner")
			seen := o[1] + " " + o[2]
			if other, ok := owners[o[0]]; ok && other != seen {
				t.Errorf("%s belongs to %s and to %s", o[0], seen, other)
			}
			owners[o[0]] = seen
			if o[3] == "true" {
				mine[o[0]]++
			}
		}
	}
	for name, n := range mine {
		if n != 1 {
			t.Errorf("%s has %d owners", name, n)
		}
	}
	if len(mine) != names {
		t.Errorf("%d names have an owner, want %d", len(mine), names)
	}
}

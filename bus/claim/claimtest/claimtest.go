// Package claimtest is the conformance suite for directories.
package claimtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
)

// A Directory is what the suite is about, as one node uses it.
type Directory interface {
	Claim(ctx context.Context, name string) (claim.Owner, error)
	Lookup(ctx context.Context, name string) (claim.Owner, error)
	Release(ctx context.Context, name string, epoch uint64) error
	Nodes() []claim.Node
	Valid() bool
	Announce(meta []byte)
	Readdress(address string)
	Close() error
}

// A Cluster lets nodes join one directory. It returns when the node may act as
// owner. Directories are closed by the suite or with the test.
type Cluster func(t *testing.T, node, address string) Directory

// patience is how long anything may take that takes time.
const patience = 20 * time.Second

// Run runs the suite. open returns a cluster that nobody else is using.
func Run(t *testing.T, open func(t *testing.T) Cluster) {
	tests := map[string]func(*testing.T, Cluster){
		"Claim":        testClaim,
		"Names":        testNames,
		"Lookup":       testLookup,
		"Release":      testRelease,
		"ReleaseOld":   testReleaseOld,
		"Close":        testClose,
		"Restart":      testRestart,
		"Readdress":    testReaddress,
		"Race":         testRace,
		"Nodes":        testNodes,
		"Unusable":     testUnusable,
		"CanceledCall": testCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func testClaim(t *testing.T, join Cluster) {
	a, b := join(t, "a", "a@1"), join(t, "b", "b@1")
	first := take(t, a, "conference.standup")
	if first.Address != "a@1" || !first.Mine || first.Epoch == 0 {
		t.Errorf("a claims: %+v", first)
	}
	if again := take(t, a, "conference.standup"); again != first {
		t.Errorf("a claims again: %+v, want %+v", again, first)
	}
	if other := take(t, b, "conference.standup"); other != (claim.Owner{Address: "a@1", Epoch: first.Epoch}) {
		t.Errorf("b claims: %+v, want a's", other)
	}
	if own := take(t, b, "conference.other"); !own.Mine || own.Address != "b@1" {
		t.Errorf("b claims another: %+v", own)
	}
}

// testNames claims names that are alike, or full of what subjects cannot hold.
func testNames(t *testing.T, join Cluster) {
	a, b := join(t, "a", "a@1"), join(t, "b", "b@1")
	names := []string{
		"burst", "conference.a", "conference.A", "conference.a.b", "conference.a.c", "conference.", "conference.*", "conference.>",
		"conference. ", "conference.Größe 9/30", "conference.=", "conference.=41", "dialer.a", "conference.\x00\xff", "a..b", ".", "$KV.x",
	}
	for _, name := range names {
		if o := take(t, a, name); !o.Mine {
			t.Errorf("%q belongs to %+v already", name, o)
		}
	}
	for _, name := range names {
		if o := take(t, b, name); o.Mine {
			t.Errorf("%q was claimed twice", name)
		}
	}
	for _, name := range []string{"", strings.Repeat("x", 257)} {
		if _, err := a.Claim(t.Context(), name); bus.CodeOf(err) != bus.Invalid {
			t.Errorf("%.10q: got %v, want %s", name, err, bus.Invalid)
		}
		if _, err := a.Lookup(t.Context(), name); bus.CodeOf(err) != bus.Invalid {
			t.Errorf("%.10q: got %v, want %s", name, err, bus.Invalid)
		}
	}
}

func testLookup(t *testing.T, join Cluster) {
	a, b := join(t, "a", "a@1"), join(t, "b", "b@1")
	if o, err := b.Lookup(t.Context(), "burst"); !errors.Is(err, claim.ErrNoOwner) {
		t.Errorf("got %+v, %v, want %v", o, err, claim.ErrNoOwner)
	}
	own := take(t, a, "burst")
	if o, err := a.Lookup(t.Context(), "burst"); err != nil || o != own {
		t.Errorf("a sees %+v, %v, want %+v", o, err, own)
	}
	own.Mine = false
	if o, err := b.Lookup(t.Context(), "burst"); err != nil || o != own {
		t.Errorf("b sees %+v, %v, want %+v", o, err, own)
	}
	closeNow(t, a)
	if o, err := b.Lookup(t.Context(), "burst"); !errors.Is(err, claim.ErrNoOwner) {
		t.Errorf("got %+v, %v of the dead, want %v", o, err, claim.ErrNoOwner)
	}
}

func testRelease(t *testing.T, join Cluster) {
	a, b := join(t, "a", "a@1"), join(t, "b", "b@1")
	first := take(t, a, "burst")
	if err := a.Release(t.Context(), "burst", first.Epoch); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Lookup(t.Context(), "burst"); !errors.Is(err, claim.ErrNoOwner) {
		t.Errorf("after release: %v", err)
	}
	second := take(t, b, "burst")
	if !second.Mine || second.Epoch <= first.Epoch {
		t.Errorf("b gets %+v after %+v", second, first)
	}
	if err := a.Release(t.Context(), "burst", first.Epoch); err != nil {
		t.Errorf("a second release: %v", err)
	}
	if o := take(t, a, "burst"); o.Address != "b@1" || o.Epoch != second.Epoch {
		t.Errorf("a's late release took b's away: %+v", o)
	}
	if err := b.Release(t.Context(), "burst", second.Epoch); err != nil {
		t.Fatal(err)
	}
	if third := take(t, b, "burst"); third.Epoch <= second.Epoch {
		t.Errorf("b gets %+v after %+v", third, second)
	}
}

func testReleaseOld(t *testing.T, join Cluster) {
	a := join(t, "a", "a@1")
	first := take(t, a, "burst")
	if err := a.Release(t.Context(), "burst", first.Epoch); err != nil {
		t.Fatal(err)
	}
	second := take(t, a, "burst")
	for _, epoch := range []uint64{0, first.Epoch, second.Epoch + 1} {
		if err := a.Release(t.Context(), "burst", epoch); err != nil {
			t.Errorf("release of epoch %d: %v", epoch, err)
		}
	}
	if o, err := a.Lookup(t.Context(), "burst"); err != nil || o != second {
		t.Errorf("got %+v, %v, want %+v", o, err, second)
	}
}

func testClose(t *testing.T, join Cluster) {
	a, b := join(t, "a", "a@1"), join(t, "b", "b@1")
	first := take(t, a, "burst")
	closeNow(t, a)
	if a.Valid() {
		t.Error("valid after Close")
	}
	second := take(t, b, "burst")
	if !second.Mine || second.Epoch <= first.Epoch {
		t.Errorf("b gets %+v after %+v", second, first)
	}
}

// testRestart lets another process take a node's place without a goodbye.
func testRestart(t *testing.T, join Cluster) {
	a, b := join(t, "a", "a@1"), join(t, "b", "b@1")
	first := take(t, a, "burst")
	again := join(t, "a", "a@2")
	if o, err := b.Lookup(t.Context(), "burst"); !errors.Is(err, claim.ErrNoOwner) {
		t.Errorf("the old process still owns: %+v, %v", o, err)
	}
	second := take(t, again, "burst")
	if !second.Mine || second.Address != "a@2" || second.Epoch <= first.Epoch {
		t.Errorf("the new process gets %+v after %+v", second, first)
	}
	await(t, "the old process to notice", func() bool { return !a.Valid() })
	if o, err := a.Claim(t.Context(), "burst"); bus.CodeOf(err) != bus.Unavailable {
		t.Errorf("the old process gets %+v, %v", o, err)
	}
}

func testReaddress(t *testing.T, join Cluster) {
	a, b := join(t, "a", "a@1"), join(t, "b", "b@1")
	first, other := take(t, a, "burst"), take(t, a, "other")
	a.Readdress("a@2")
	await(t, "a to be valid again", a.Valid)
	second := take(t, a, "burst")
	if !second.Mine || second.Address != "a@2" || second.Epoch <= first.Epoch {
		t.Errorf("a gets %+v after %+v", second, first)
	}
	if o := take(t, b, "other"); !o.Mine || o.Epoch <= other.Epoch {
		t.Errorf("b gets %+v after %+v", o, other)
	}
}

// testRace lets several nodes claim the same names at once.
func testRace(t *testing.T, join Cluster) {
	const names = 50
	nodes := []string{"a", "b", "c"}
	owners := make([]map[string]claim.Owner, len(nodes))
	var wg sync.WaitGroup
	for i, node := range nodes {
		d := join(t, node, node+"@1")
		owners[i] = map[string]claim.Owner{}
		wg.Go(func() {
			for n := range names {
				name := fmt.Sprint("conference.", n)
				o, err := d.Claim(t.Context(), name)
				if err != nil {
					t.Errorf("%s claims %s: %v", node, name, err)
				}
				owners[i][name] = o
			}
		})
	}
	wg.Wait()
	for n := range names {
		name := fmt.Sprint("conference.", n)
		mine := 0
		for i := range nodes {
			o := owners[i][name]
			if o.Mine {
				mine++
			}
			if o.Address != owners[0][name].Address || o.Epoch != owners[0][name].Epoch {
				t.Errorf("%s: %s sees %+v, a sees %+v", name, nodes[i], o, owners[0][name])
			}
		}
		if mine != 1 {
			t.Errorf("%s has %d owners", name, mine)
		}
	}
}

func testNodes(t *testing.T, join Cluster) {
	a := join(t, "a", "a@1")
	if got := describe(a); got != "a=a@1()" {
		t.Errorf("alone: %s", got)
	}
	b := join(t, "Node B", "Node B@1")
	a.Announce([]byte("x"))
	for _, d := range []Directory{a, b} {
		await(t, "both to be seen", func() bool { return describe(d) == "Node B=Node B@1() a=a@1(x)" })
	}
	b.Announce([]byte("y"))
	await(t, "the announcement to be seen", func() bool { return describe(a) == "Node B=Node B@1(y) a=a@1(x)" })
	b.Readdress("Node B@2")
	await(t, "the address to be seen", func() bool { return describe(a) == "Node B=Node B@2(y) a=a@1(x)" })
	closeNow(t, b)
	await(t, "b to go", func() bool { return describe(a) == "a=a@1(x)" })
}

func testUnusable(t *testing.T, join Cluster) {
	a := join(t, "a", "a@1")
	closeNow(t, a)
	if _, err := a.Claim(t.Context(), "burst"); bus.CodeOf(err) != bus.Unavailable {
		t.Errorf("claim after Close: %v, want %s", err, bus.Unavailable)
	}
	if err := a.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func testCanceled(t *testing.T, join Cluster) {
	a := join(t, "a", "a@1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Claim(ctx, "burst"); bus.CodeOf(err) != bus.Unavailable {
		t.Errorf("got %v, want %s", err, bus.Unavailable)
	}
	if o := take(t, a, "burst"); !o.Mine {
		t.Errorf("afterwards got %+v", o)
	}
}

// describe renders what a directory sees.
func describe(d Directory) string {
	var nodes []string
	for _, n := range d.Nodes() {
		nodes = append(nodes, fmt.Sprintf("%s=%s(%s)", n.Name, n.Address, n.Meta))
	}
	if !slices.IsSorted(nodes) {
		return "not sorted: " + strings.Join(nodes, " ")
	}
	return strings.Join(nodes, " ")
}

func take(t *testing.T, d Directory, name string) claim.Owner {
	t.Helper()
	o, err := d.Claim(t.Context(), name)
	if err != nil {
		t.Fatalf("claim %q: %v", name, err)
	}
	return o
}

func closeNow(t *testing.T, d Directory) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// await polls, because what it waits for passes through clocks and networks.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

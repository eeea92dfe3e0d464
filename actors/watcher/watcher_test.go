package watcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/watcher"
)

// world is a node, the owners of one conference one after the other, and who
// follows it.
type world struct {
	*actortest.Bench
	set *watcher.Set

	mu    sync.Mutex // guards what follows
	owner *actor.PID // whom the node finds; nil: nobody
	asked int        // how often it has looked
	subs  []string   // what owners were asked for
	heard map[string][]string
	panic string // what makes a follower panic, once
}

func run(t *testing.T, f func(w *world)) {
	t.Helper()
	actortest.Run(t, func(b *actortest.Bench) {
		w := &world{Bench: b, heard: map[string][]string{}}
		pid := b.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*node.Find); ok {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.asked++
				c.Respond(&node.Found{Room: "r", Conference: w.owner})
			}
		}), "node")
		w.set = watcher.NewSet(watcher.Deps{Log: slog.New(slog.DiscardHandler), Metrics: actors.NewMetrics(nil), System: b.System, Node: pid})
		f(w)
	})
}

// spawn starts an owner whose roster has that epoch.
func (w *world) spawn(name string, epoch uint64) *actor.PID {
	w.Helper()
	pid := w.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *conference.Subscribe:
			what := "rosters"
			if !m.RosterOnly {
				what = "everything"
			}
			w.note(fmt.Sprintf("%s: %s", name, what))
			c.Respond(roster(c.Self(), epoch, 1))
		case *conference.Unsubscribe:
			w.note(name + ": nothing")
		case *conference.GetRoster:
			c.Respond(roster(c.Self(), epoch, 1))
		}
	}), name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owner = pid
	return pid
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs = append(w.subs, what)
}

func roster(owner *actor.PID, epoch, version uint64) *conference.Roster {
	return &conference.Roster{Room: "r", Epoch: epoch, Version: version, Conference: conference.AddressOf(owner)}
}

// watch returns the watcher that has subscribed, as a conference knows it.
func (w *world) watch() *actor.PID {
	w.Settle()
	return w.System.NewLocalPID(watcher.ActorPrefix + "1")
}

func (w *world) follow(name string, owner *actor.PID, talk bool) *watcher.Following {
	hear := func(what string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if what == w.panic {
			w.panic = ""
			panic(what)
		}
		w.heard[name] = append(w.heard[name], what)
	}
	f := watcher.Follower{Roster: func(r *conference.Roster) { hear(fmt.Sprintf("%d.%d", r.Epoch, r.Version)) }}
	if talk {
		f.Said = func(m any) { hear(fmt.Sprintf("%T", m)) }
	}
	return w.set.Follow("r", owner, f)
}

func (w *world) stop(f *watcher.Following) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := f.Stop(ctx); err != nil {
		w.Error(err)
	}
}

// told is what a follower has been told since last asked.
func (w *world) told(name string, want ...string) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.heard[name]; !slices.Equal(got, want) {
		w.Errorf("%s was told %q, want %q", name, got, want)
	}
	w.heard[name] = nil
}

// subscribed is what owners were asked for since last asked.
func (w *world) subscribed(want ...string) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.subs) // owners do not wait for each other
	if !slices.Equal(w.subs, want) {
		w.Errorf("subscribed to %q, want %q", w.subs, want)
	}
	w.subs = nil
}

// One watcher serves all who follow a room, and asks for what they want.
func TestFollowersShareAWatcher(t *testing.T) {
	run(t, func(w *world) {
		a := w.spawn("a", 5)
		phone := w.follow("phone", a, false)
		w.subscribed("a: rosters")
		w.told("phone", "5.1")
		other := w.follow("other", a, false)
		w.subscribed()
		w.told("other", "5.1")

		browser := w.follow("browser", a, true)
		w.subscribed("a: everything")
		w.told("browser", "5.1")
		w.Send(w.watch(), roster(a, 5, 2))
		w.Send(w.watch(), roster(a, 5, 1)) // late
		w.Send(w.watch(), roster(a, 5, 2)) // twice
		w.Send(w.watch(), &conference.Message{})
		w.Send(w.watch(), &conference.MoveCamera{})
		w.Send(w.watch(), &conference.Transfer{})
		w.told("phone", "5.2")
		w.told("other", "5.2")
		w.told("browser", "5.2", "*conference.Message", "*conference.MoveCamera", "*conference.Transfer")

		w.stop(other)
		w.Send(w.watch(), roster(a, 5, 3))
		w.told("other")
		w.told("phone", "5.3")
		w.told("browser", "5.3")
		w.stop(browser)
		w.subscribed("a: rosters")
		w.told("phone")
		w.stop(phone)
		w.subscribed("a: nothing")

		again := w.follow("again", a, true)
		w.subscribed("a: everything")
		w.told("again", "5.1")
		w.stop(again)
	})
}

// When the owner is lost, the next one is looked for until there is one.
func TestNextOwner(t *testing.T) {
	run(t, func(w *world) {
		a := w.spawn("a", 5)
		f := w.follow("phone", a, false)
		w.told("phone", "5.1")
		w.mu.Lock()
		w.owner = nil
		w.mu.Unlock()
		w.System.Root.Stop(a)
		time.Sleep(10 * time.Second)
		if w.mu.Lock(); w.asked < 5 || w.asked > 50 {
			t.Errorf("looked for the owner %d times in 10 s", w.asked)
		}
		w.mu.Unlock()
		w.told("phone")
		b := w.spawn("b", 1) // made without the directory: its epochs begin anew
		time.Sleep(time.Second)
		w.subscribed("a: rosters", "b: rosters")
		w.told("phone", "1.1")
		w.Send(w.watch(), roster(a, 5, 2)) // what was on its way
		w.Send(w.watch(), roster(b, 1, 2))
		w.told("phone", "1.2")
		w.stop(f)
		w.subscribed("b: nothing")
	})
}

// Who comes may be the first to know of a newer owner.
func TestAnotherOwner(t *testing.T) {
	run(t, func(w *world) {
		a := w.spawn("a", 5)
		first := w.follow("first", a, true)
		w.told("first", "5.1")
		b := w.spawn("b", 6)
		second := w.follow("second", b, false)
		w.told("second", "5.1", "6.1")
		w.told("first", "6.1")
		w.subscribed("a: everything", "a: nothing", "b: everything")
		w.System.Root.Stop(a)
		w.Settle()
		w.stop(first)
		w.stop(second)
		w.subscribed("b: nothing", "b: rosters")
	})
}

// Who comes may know only an owner that is lost, or was superseded: nobody is
// taken to that one, and hears of nothing less.
func TestStaleNewcomer(t *testing.T) {
	for _, alive := range []bool{true, false} {
		t.Run(fmt.Sprintf("alive %v", alive), func(t *testing.T) {
			run(t, func(w *world) {
				a := w.spawn("a", 5)
				b := w.spawn("b", 6)
				if !alive {
					w.System.Root.Stop(a)
					w.Settle()
				}
				first := w.follow("first", b, true)
				w.told("first", "6.1")
				late := w.follow("late", a, false)
				w.Send(w.watch(), &conference.Message{})
				time.Sleep(10 * time.Second)
				w.Send(w.watch(), roster(b, 6, 2))
				w.told("first", "*conference.Message", "6.2")
				w.told("late", "6.1", "6.2")
				w.subscribed("b: everything")
				w.stop(first)
				w.stop(late)
				w.subscribed("b: nothing", "b: rosters")
			})
		})
	}
}

// It may know of the first owner, and be the first of all: who comes next knows
// better.
func TestStaleFirst(t *testing.T) {
	run(t, func(w *world) {
		a := w.spawn("a", 5)
		b := w.spawn("b", 6)
		late, first := w.follow("late", a, false), w.follow("first", b, false) // before either owner has answered
		time.Sleep(10 * time.Second)
		w.Send(w.watch(), roster(a, 5, 2))
		w.Send(w.watch(), roster(b, 6, 2))
		synctest.Wait()
		w.mu.Lock()
		for _, name := range []string{"late", "first"} {
			if got := w.heard[name]; len(got) < 2 || !slices.Equal(got[len(got)-2:], []string{"6.1", "6.2"}) {
				t.Errorf("%s was told %q, want 6.1 and 6.2 at last", name, got)
			}
		}
		if len(w.subs) > 6 {
			t.Errorf("went to and fro: %q", w.subs)
		}
		w.subs = nil
		w.mu.Unlock()
		w.stop(late)
		w.stop(first)
		w.subscribed("b: nothing")
	})
}

// While the next owner is looked for, nobody is taken to one that is lost; to a
// newer one at once.
func TestNewcomerWhileLooking(t *testing.T) {
	run(t, func(w *world) {
		a := w.spawn("a", 5)
		f := w.follow("phone", a, false)
		w.told("phone", "5.1")
		w.subscribed("a: rosters")
		w.mu.Lock()
		w.owner = nil
		w.mu.Unlock()
		w.System.Root.Stop(a)
		time.Sleep(time.Second)
		late := w.follow("late", a, false)
		b := w.spawn("b", 6)
		w.mu.Lock()
		w.owner = nil // the node does not know yet
		w.mu.Unlock()
		next := w.follow("next", b, false)
		time.Sleep(10 * time.Second)
		w.subscribed("b: rosters")
		w.told("phone", "6.1")
		w.told("late", "5.1", "6.1")
		w.told("next", "5.1", "6.1")
		w.stop(late)
		w.stop(next)
		w.stop(f)
		w.subscribed("b: nothing")
	})
}

// A follower that panics takes nothing from the others.
func TestPanic(t *testing.T) {
	run(t, func(w *world) {
		a := w.spawn("a", 5)
		one, two := w.follow("one", a, false), w.follow("two", a, false)
		w.told("one", "5.1")
		w.told("two", "5.1")
		w.panic = "5.2"
		w.Send(w.watch(), roster(a, 5, 2))
		w.Send(w.watch(), roster(a, 5, 3))
		w.told("one", "5.3")
		w.told("two", "5.3")
		w.stop(one)
		w.stop(two)
	})
}

// Following and stopping at the same time leaves neither followers nor watchers.
func TestCrowd(t *testing.T) {
	run(t, func(w *world) {
		a := w.spawn("a", 5)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				for range 20 {
					told := make(chan struct{}, 1)
					f := w.set.Follow("r", a, watcher.Follower{Roster: func(*conference.Roster) {
						select {
						case told <- struct{}{}:
						default:
						}
					}})
					<-told
					w.stop(f)
				}
			})
		}
		all.Wait()
		w.Settle()
		w.mu.Lock()
		defer w.mu.Unlock()
		subs, left := 0, 0
		for _, s := range w.subs {
			if s == "a: nothing" {
				left++
			} else {
				subs++
			}
		}
		if subs == 0 || subs != left {
			t.Errorf("subscribed %d times, and %d times not any more", subs, left)
		}
	})
}

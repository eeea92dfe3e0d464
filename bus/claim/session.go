package claim

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
)

// session is the value of a node's key. Either it is that of a live node, or a
// marker that the node is not alive. Both expire.
type session struct {
	Address string `json:"address,omitempty"`
	Meta    []byte `json:"meta,omitempty"`

	Fenced string `json:"fenced,omitempty"` // the address that is dead
	By     string `json:"by,omitempty"`     // who says so; itself when it has left
}

func sessionKey(node string) string { return "node." + bus.Token(node) }

// What keeps a session from being renewed, other than the network.
var (
	errFenced   = errors.New("claim: fenced")
	errReplaced = errors.New("claim: replaced")
	errMoved    = errors.New("claim: changed meanwhile")
)

// keep renews the session, four times per lifetime, and more often while that
// fails.
func (d *Directory) keep(ctx context.Context) {
	k := keeper{d: d}
	for {
		began := time.Now()
		err := k.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		next := began.Add(d.cfg.TTL / 4)
		switch {
		case err == nil:
			d.cfg.Metrics.renewals.Inc()
			k.setValid(true)
		case errors.Is(err, errReplaced):
			return
		default:
			d.cfg.Metrics.failures.Inc()
			d.cfg.Log.Debug("session not renewed", "err", err)
			next = began.Add(d.cfg.TTL / 16)
		}
		k.sleep(ctx, next)
		if ctx.Err() != nil {
			return
		}
		k.setValid(d.Valid())
	}
}

// keeper is the state of the goroutine above.
type keeper struct {
	d        *Directory
	revision uint64 // of the session as we wrote it last; 0 when unknown
	joined   bool   // there has been a session
	valid    bool   // as Notify was told
	links    uint64 // times that the connection was made again
	fenced   string // the address of which Notify was told that it is dead

	// interrupted is true from the moment that the session was found absent
	// until what we hold has been claimed again: others may have taken it.
	interrupted bool
}

// sleep waits until t, a poke, or the moment at which the session ceases to be
// valid, whichever comes first.
func (k *keeper) sleep(ctx context.Context, t time.Time) {
	k.d.mu.Lock()
	left := k.d.until - time.Since(k.d.start)
	k.d.mu.Unlock()
	wait := time.Until(t)
	if left > 0 && left < wait {
		wait = left
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.d.poke:
	case <-ctx.Done():
	}
}

// setValid tells about a change.
func (k *keeper) setValid(valid bool) {
	if valid == k.valid {
		return
	}
	k.valid = valid
	if valid {
		k.d.cfg.Metrics.valid.Set(1)
		k.d.cfg.Log.Info("session valid")
		k.d.cfg.Notify(&Restored{})
	} else {
		k.d.cfg.Metrics.valid.Set(0)
		k.d.cfg.Log.Warn("session expired")
		k.d.cfg.Notify(&Expired{})
	}
}

// renew renews the session, or opens it.
func (k *keeper) renew(ctx context.Context) error {
	d := k.d
	ctx, cancel := context.WithTimeout(ctx, max(d.cfg.TTL/4, time.Second))
	defer cancel()
	sessions, _, err := d.buckets(ctx, false)
	if err != nil {
		return err
	}
	d.mu.Lock()
	address := d.address
	value, err := json.Marshal(session{Address: address, Meta: d.meta})
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if links := d.nc.Stats().Reconnects; links != k.links {
		k.links, k.revision = links, 0 // the server may have forgotten us: ask first
	}
	began := time.Now()
	if k.revision != 0 {
		revision, err := sessions.Update(ctx, sessionKey(d.cfg.Node), value, k.revision)
		switch {
		case err == nil:
			return k.renewed(ctx, revision, began, address)
		case !errors.Is(err, jetstream.ErrKeyRevisionMismatch) && !isMissing(err):
			return unavailable(err)
		}
		k.revision = 0
	}
	revision, err := k.open(ctx, address, value)
	if err != nil {
		return err
	}
	return k.renewed(ctx, revision, began, address)
}

// renewed makes the session count.
func (k *keeper) renewed(ctx context.Context, revision uint64, began time.Time, address string) error {
	k.revision, k.joined = revision, true
	if k.interrupted {
		if err := k.d.reclaim(ctx, address); err != nil {
			return err
		}
		k.interrupted = false
	}
	if !k.d.extend(began, address) {
		return errMoved
	}
	k.d.releaseLater(ctx)
	return nil
}

// open writes the session when we do not know its revision.
func (k *keeper) open(ctx context.Context, address string, value []byte) (revision uint64, err error) {
	d := k.d
	sessions, _, err := d.buckets(ctx, false)
	if err != nil {
		return 0, err
	}
	e, err := sessions.Get(ctx, sessionKey(d.cfg.Node))
	if isMissing(err) {
		if sessions, _, err = d.buckets(ctx, true); err != nil {
			return 0, err
		}
		err = jetstream.ErrKeyNotFound
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		// It may have been absent for long, or lost with the server.
		k.interrupted = true
		revision, err = sessions.Create(ctx, sessionKey(d.cfg.Node), value)
		if errors.Is(err, jetstream.ErrKeyExists) {
			return 0, errMoved // the read was behind
		}
		return revision, wrap(err)
	}
	if err != nil {
		return 0, unavailable(err)
	}
	var s session
	if err := json.Unmarshal(e.Value(), &s); err != nil {
		d.cfg.Log.Warn("session not understood, overwriting it", "err", err)
	}
	switch {
	case s.Fenced == address:
		k.tellFenced(address, s.By)
		return 0, errFenced
	case k.joined && s.Fenced == "" && s.Address != address && !d.wasMine(s.Address):
		d.replaced(s.Address)
		return 0, errReplaced
	}
	// It is ours, or that of a past address of ours, or that of the process
	// before us.
	revision, err = sessions.Update(ctx, sessionKey(d.cfg.Node), value, e.Revision())
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return 0, errMoved
	}
	return revision, wrap(err)
}

func wrap(err error) error {
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// tellFenced tells once per address that it is dead.
func (k *keeper) tellFenced(address, by string) {
	k.d.expire()
	if k.fenced == address {
		return
	}
	k.fenced = address
	k.d.cfg.Metrics.fenced.Inc()
	k.d.cfg.Log.Warn("taken for dead, another address is needed", "address", address, "by", by)
	k.setValid(false)
	k.d.cfg.Notify(&Fenced{Address: address})
}

func (d *Directory) wasMine(address string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.past[address]
}

// replaced stops for good.
func (d *Directory) replaced(by string) {
	d.mu.Lock()
	d.gone = true
	d.mu.Unlock()
	d.expire()
	d.cfg.Metrics.valid.Set(0)
	d.cfg.Log.Error("another process has this node's session", "by", by)
	d.cfg.Notify(&Replaced{By: by})
}

// leave marks the session as ended, if it is still ours. A marker proves more
// than an absent key.
func (d *Directory) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	sessions, _, err := d.buckets(ctx, false)
	if err != nil {
		return err
	}
	e, err := sessions.Get(ctx, sessionKey(d.cfg.Node))
	if err != nil {
		return nil // it is gone
	}
	var s session
	d.mu.Lock()
	address := d.address
	d.mu.Unlock()
	if json.Unmarshal(e.Value(), &s) != nil || s.Address != address {
		return nil
	}
	value, err := json.Marshal(session{Fenced: address, By: address})
	if err != nil {
		return err
	}
	_, err = sessions.Update(ctx, sessionKey(d.cfg.Node), value, e.Revision())
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return nil
	}
	return wrap(err)
}

// reclaimers is how many records are written at once after an interruption.
const reclaimers = 16

// reclaim writes the records of everything we hold again. Whoever has taken one
// meanwhile keeps it; whoever is about to fails, because the revision has
// changed. It is tried again as a whole after an error.
func (d *Directory) reclaim(ctx context.Context, address string) error {
	d.mu.Lock()
	var names []string
	for name, t := range d.held {
		if !t.released {
			names = append(names, name)
		}
	}
	d.mu.Unlock()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards lost and errs
		lost []string
		errs []error
	)
	work := make(chan string)
	for range min(reclaimers, len(names)) {
		wg.Go(func() {
			for name := range work {
				kept, err := d.reclaimOne(ctx, address, name)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				} else if !kept {
					lost = append(lost, name)
				}
				mu.Unlock()
			}
		})
	}
	for _, name := range names {
		work <- name
	}
	close(work)
	wg.Wait()
	if len(lost) > 0 {
		slices.Sort(lost)
		d.cfg.Log.Warn("names lost to others", "names", len(lost))
		d.cfg.Notify(&Lost{Names: lost})
	}
	return errors.Join(errs...)
}

package claim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// record is the value of a name's key.
type record struct {
	Address string `json:"address"`
}

// readRecord returns the address in a record.
func readRecord(value []byte) (address string, err error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if node := nodeOf(r.Address); node == "" || len(r.Address) < len(node)+len("@x") {
		return "", fmt.Errorf("%w: %q is no address", ErrUnreadable, r.Address)
	}
	return r.Address, nil
}

// unreadable tells of a record that was not written by a node, or by one that is
// much newer. Somebody must look.
func (d *Directory) unreadable(e jetstream.KeyValueEntry, err error) error {
	d.cfg.Metrics.unreadable.Inc()
	d.cfg.Log.Error("record cannot be read; its name is without an owner until it is removed", "bucket", recordsBucket, "key", e.Key(), "err", err)
	return err
}

// operationTimeout bounds each of the methods below.
const operationTimeout = 2 * time.Second

// Claim makes this node the owner of name unless a live node is already, and
// returns who is. It fails with [bus.Unavailable] when the directory cannot be
// reached or this node's session is not valid.
func (d *Directory) Claim(ctx context.Context, name string) (Owner, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	for {
		address, err := d.mayOwn()
		if err != nil {
			return Owner{}, err
		}
		owner, err := d.tryClaim(ctx, name, address)
		switch {
		case errors.Is(err, errMoved) && ctx.Err() == nil:
			continue // somebody else was faster; see who
		case err != nil:
			d.cfg.Metrics.errors.Inc()
			return Owner{}, err
		case owner.Mine && !d.hold(name, address, owner.Epoch):
			return Owner{}, ErrExpired
		}
		return owner, nil
	}
}

// mayOwn returns this node's address if it may act as owner.
func (d *Directory) mayOwn() (address string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.validLocked() {
		return "", ErrExpired
	}
	return d.address, nil
}

// hold notes that name is ours. It reports false when we may not own it after
// all, because that took too long.
func (d *Directory) hold(name, address string, epoch uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.validLocked() || d.address != address {
		return false
	}
	t, ok := d.held[name]
	if !ok {
		t.first = epoch
	}
	t.last, t.released = epoch, false
	d.held[name] = t
	d.cfg.Metrics.held.Set(float64(len(d.held)))
	return true
}

func (d *Directory) tryClaim(ctx context.Context, name, address string) (Owner, error) {
	key, err := key(name)
	if err != nil {
		return Owner{}, err
	}
	_, records, err := d.buckets(ctx, false)
	if err != nil {
		return Owner{}, err
	}
	mine, err := json.Marshal(record{Address: address})
	if err != nil {
		return Owner{}, err
	}
	e, err := records.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		revision, err := records.Create(ctx, key, mine)
		if errors.Is(err, jetstream.ErrKeyExists) {
			return Owner{}, errMoved
		}
		return Owner{address, revision, true}, d.missing(ctx, err)
	}
	if err != nil {
		return Owner{}, d.missing(ctx, err)
	}
	owner, live, err := d.ownerOf(ctx, e, address)
	releasing := owner.Mine && d.isReleased(name)
	if err != nil || live && !releasing {
		return owner, err
	}
	// Nobody's, or ours and about to be released: a new revision stops that.
	revision, err := records.Update(ctx, key, mine, e.Revision())
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return Owner{}, errMoved
	}
	return Owner{address, revision, true}, wrap(err)
}

// missing is for errors that may mean that the records were lost with their
// server: it makes the bucket again.
func (d *Directory) missing(ctx context.Context, err error) error {
	if err == nil || !isMissing(err) {
		return wrap(err)
	}
	if _, _, err := d.buckets(ctx, true); err != nil {
		return err
	}
	return errMoved
}

// ownerOf reads a record and reports whether its owner lives, which is proven
// if it does not.
func (d *Directory) ownerOf(ctx context.Context, e jetstream.KeyValueEntry, address string) (Owner, bool, error) {
	holder, err := readRecord(e.Value())
	if err != nil {
		return Owner{}, false, d.unreadable(e, err)
	}
	owner := Owner{holder, e.Revision(), holder == address}
	if owner.Mine {
		return owner, true, nil
	}
	live, err := d.alive(ctx, holder, true)
	return owner, live, err
}

// alive reports whether address has its node's session. With fence, an absent
// session is proven to be, and a late renewal of it will fail.
func (d *Directory) alive(ctx context.Context, address string, fence bool) (bool, error) {
	sessions, _, err := d.buckets(ctx, false)
	if err != nil {
		return false, err
	}
	key := sessionKey(nodeOf(address))
	for {
		e, err := sessions.Get(ctx, key)
		if err == nil {
			var s session
			if err := json.Unmarshal(e.Value(), &s); err != nil {
				return false, fmt.Errorf("%w: session of %s: %w", ErrUnreadable, nodeOf(address), err)
			}
			return s.Address == address, nil
		}
		if isMissing(err) { // lost with the server: another has been empty for no time at all
			_, _, err := d.buckets(ctx, true)
			return err == nil, err
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return false, unavailable(err)
		}
		if young, err := d.isYoung(ctx, sessions); err != nil || young {
			return young, err
		}
		if !fence {
			return false, nil
		}
		d.mu.Lock()
		marker := session{Fenced: address, By: d.address}
		d.mu.Unlock()
		value, err := json.Marshal(marker)
		if err != nil {
			return false, err
		}
		_, err = sessions.Create(ctx, key, value)
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return false, wrap(err)
		}
	}
}

// isYoung reports whether the sessions have existed for less than a lifetime,
// by the server's clock. Then an absent one need not have expired: it may have
// been lost with the server, and its owner may still be valid.
func (d *Directory) isYoung(ctx context.Context, sessions jetstream.KeyValue) (bool, error) {
	status, err := sessions.Status(ctx)
	if err != nil {
		return false, unavailable(err)
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return true, nil
	}
	info := bucket.StreamInfo()
	return info.TimeStamp.Sub(info.Created) < d.cfg.TTL, nil
}

// Lookup returns the live owner of name, or an error with [bus.NotFound].
func (d *Directory) Lookup(ctx context.Context, name string) (Owner, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	key, err := key(name)
	if err != nil {
		return Owner{}, err
	}
	_, records, err := d.buckets(ctx, false)
	if err != nil {
		return Owner{}, err
	}
	e, err := records.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Owner{}, ErrNoOwner
	}
	if err != nil {
		d.cfg.Metrics.errors.Inc()
		return Owner{}, unavailable(err)
	}
	holder, err := readRecord(e.Value())
	if err != nil {
		return Owner{}, d.unreadable(e, err)
	}
	d.mu.Lock()
	mine, valid, released := holder == d.address, d.validLocked(), d.held[name].released
	d.mu.Unlock()
	switch {
	case mine && !valid:
		return Owner{}, ErrExpired
	case mine && released:
		return Owner{}, ErrNoOwner
	case mine:
		return Owner{holder, e.Revision(), true}, nil
	}
	live, err := d.alive(ctx, holder, false)
	if err != nil {
		return Owner{}, err
	}
	if !live {
		return Owner{}, ErrNoOwner
	}
	return Owner{holder, e.Revision(), false}, nil
}

// Release gives name up if epoch is of this node's present tenure. When the
// directory cannot be reached, that is an error with [bus.Unavailable], and
// done later all the same.
func (d *Directory) Release(ctx context.Context, name string, epoch uint64) error {
	d.mu.Lock()
	t, ok := d.held[name]
	if !ok || epoch < t.first || epoch > t.last {
		d.mu.Unlock()
		return nil
	}
	t.released = true
	d.held[name] = t
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	return d.release(ctx, name)
}

// release removes the record of a name that was given up, if it is still ours.
func (d *Directory) release(ctx context.Context, name string) error {
	key, err := key(name)
	if err != nil {
		return err
	}
	_, records, err := d.buckets(ctx, false)
	if err != nil {
		return err
	}
	d.mu.Lock()
	t := d.held[name]
	d.mu.Unlock()
	if !t.released {
		return nil // claimed again meanwhile
	}
	err = records.Purge(ctx, key, jetstream.LastRevision(t.last), jetstream.PurgeTTL(markerLifetime))
	if err != nil && !errors.Is(err, jetstream.ErrKeyRevisionMismatch) { // somebody else's by now
		return unavailable(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held[name] == t {
		delete(d.held, name)
		d.cfg.Metrics.held.Set(float64(len(d.held)))
	}
	return nil
}

func (d *Directory) isReleased(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held[name].released
}

// releaseLater does what Release could not.
func (d *Directory) releaseLater(ctx context.Context) {
	d.mu.Lock()
	var names []string
	for name, t := range d.held {
		if t.released {
			names = append(names, name)
		}
	}
	d.mu.Unlock()
	for _, name := range names {
		if err := d.release(ctx, name); err != nil {
			d.cfg.Log.Debug("name not released yet", "name", name, "err", err)
			return
		}
	}
}

// reclaimOne writes the record of a name that we hold again, and reports
// whether it is still ours.
func (d *Directory) reclaimOne(ctx context.Context, address, name string) (kept bool, err error) {
	key, err := key(name)
	if err != nil {
		return false, err
	}
	_, records, err := d.buckets(ctx, false)
	if err != nil {
		return false, err
	}
	value, err := json.Marshal(record{Address: address})
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	t, ok := d.held[name]
	d.mu.Unlock()
	if !ok {
		return true, nil
	}
	revision, err := records.Update(ctx, key, value, t.last)
	if isMissing(err) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		revision, err = d.recheck(ctx, records, key, address, value)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case errors.Is(err, errMoved):
		delete(d.held, name)
		return false, nil
	case err != nil:
		return false, unavailable(err)
	}
	if t, ok := d.held[name]; ok && d.address == address {
		t.last = max(t.last, revision)
		d.held[name] = t
	}
	return true, nil
}

// recheck looks at a record whose revision is not what we know: a write of ours
// may have succeeded without our knowing, or the record was lost with its
// server. Otherwise it is somebody else's.
func (d *Directory) recheck(ctx context.Context, records jetstream.KeyValue, key, address string, value []byte) (uint64, error) {
	e, err := records.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		revision, err := records.Create(ctx, key, value)
		if errors.Is(err, jetstream.ErrKeyExists) {
			err = errMoved
		}
		return revision, err
	}
	if err != nil {
		return 0, err
	}
	switch holder, err := readRecord(e.Value()); {
	case err != nil:
		_ = d.unreadable(e, err)
		return 0, errMoved // whose it is, nobody knows; so it is not ours
	case holder != address:
		return 0, errMoved
	}
	revision, err := records.Update(ctx, key, value, e.Revision())
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		err = errMoved
	}
	return revision, err
}

// tidyEvery is how often, on average, a node looks for records of the dead that
// nobody wants.
const tidyEvery = 10 * time.Minute

// tidy removes the records of nodes that died, until ctx is done. Otherwise
// rooms that nobody calls again would stay in the bucket for ever.
func (d *Directory) tidy(ctx context.Context) {
	for {
		timer := time.NewTimer(tidyEvery/2 + rand.N(tidyEvery))
		select {
		case <-timer.C:
			if err := d.Tidy(ctx); err != nil && ctx.Err() == nil {
				d.cfg.Log.Warn("records not tidied", "err", err)
			}
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Tidy removes the records whose owner is dead. It is called now and then
// anyway.
func (d *Directory) Tidy(ctx context.Context) error {
	address, err := d.mayOwn()
	if err != nil {
		return err
	}
	_, records, err := d.buckets(ctx, false)
	if err != nil {
		return err
	}
	keys, err := records.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	for _, key := range keys {
		e, err := records.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return unavailable(err)
		}
		_, live, err := d.ownerOf(ctx, e, address)
		switch {
		case errors.Is(err, ErrUnreadable), err == nil && live:
			continue
		case err != nil:
			return err
		}
		err = records.Purge(ctx, key, jetstream.LastRevision(e.Revision()), jetstream.PurgeTTL(markerLifetime))
		if err != nil && !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return unavailable(err)
		}
	}
	return nil
}

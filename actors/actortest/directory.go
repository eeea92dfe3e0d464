package actortest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/skybridge-media/skybridge/bus/claim"
)

// SessionTTL is how long a lost node holds its names.
const SessionTTL = 3 * time.Second

// A Directory is what one node of a Cluster knows of who owns what. It is a
// claim.Memory that takes its time.
type Directory struct {
	*claim.Memory
	delay atomic.Int64
	dead  atomic.Bool
}

// SetDelay sets how long an answer takes, in fake time.
func (d *Directory) SetDelay(delay time.Duration) { d.delay.Store(int64(delay)) }

func (d *Directory) answer() error {
	time.Sleep(time.Duration(d.delay.Load()))
	if d.dead.Load() {
		return claim.ErrUnavailable
	}
	return nil
}

// lose ends the node's session when it has run out.
func (d *Directory) lose() {
	d.dead.Store(true)
	time.AfterFunc(SessionTTL, func() { _ = d.Close() })
}

// Claim is as that of claim.Directory.
func (d *Directory) Claim(ctx context.Context, name string) (claim.Owner, error) {
	if err := d.answer(); err != nil {
		return claim.Owner{}, err
	}
	return d.Memory.Claim(ctx, name)
}

// Lookup is as that of claim.Directory.
func (d *Directory) Lookup(ctx context.Context, name string) (claim.Owner, error) {
	if err := d.answer(); err != nil {
		return claim.Owner{}, err
	}
	return d.Memory.Lookup(ctx, name)
}

// Release is as that of claim.Directory.
func (d *Directory) Release(ctx context.Context, name string, epoch uint64) error {
	if err := d.answer(); err != nil {
		return err
	}
	return d.Memory.Release(ctx, name, epoch)
}

// Valid is as that of claim.Directory.
func (d *Directory) Valid() bool { return !d.dead.Load() && d.Memory.Valid() }

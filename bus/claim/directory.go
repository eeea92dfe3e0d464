package claim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config describes a directory. Node and Address are required.
type Config struct {
	// Node is the name of this node, and Address its actor address,
	// node@incarnation, which no other process ever had.
	Node, Address string

	// TTL is the lifetime of a session: how long a dead node's names stay
	// taken. The default is 3 s; less than 2 s makes a pause of the garbage
	// collector or the disk look like death. All nodes use the same.
	TTL time.Duration

	// Replicas is the number of servers that keep each bucket; the default is 1.
	Replicas int

	// Meta is what this node says of itself at first; see Announce.
	Meta []byte

	// Notify is called with *Expired, *Restored, *Lost, *Fenced and *Replaced,
	// and must not block for long. It may call Readdress. Nil tells nobody.
	Notify func(event any)

	Log     *slog.Logger // nil discards
	Metrics *Metrics     // nil counts nowhere
}

func (c *Config) validate() error {
	c.TTL = cmp.Or(c.TTL, 3*time.Second)
	c.Replicas = cmp.Or(c.Replicas, 1)
	if c.Notify == nil {
		c.Notify = func(any) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	switch {
	case c.Node == "" || strings.Contains(c.Node, "@") || len(c.Node) > maxNameBytes:
		return fmt.Errorf("claim: Node: %q is not a node's name", c.Node)
	case nodeOf(c.Address) != c.Node || c.Address == c.Node:
		return fmt.Errorf("claim: Address: %q is not an address of node %s", c.Address, c.Node)
	case c.TTL < time.Second:
		return fmt.Errorf("claim: TTL: %v is less than a second", c.TTL)
	}
	return nil
}

// Directory is the cluster's directory as this node uses it. It is safe for
// concurrent use.
type Directory struct {
	cfg Config
	nc  *nats.Conn
	js  jetstream.JetStream

	start time.Time     // monotonic zero of until
	poke  chan struct{} // asks for a renewal now
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu        sync.Mutex // guards the rest
	sessions  jetstream.KeyValue
	records   jetstream.KeyValue
	address   string
	meta      []byte
	past      map[string]bool // addresses that were ours
	until     time.Duration   // since start: owner until then
	untilWall time.Time       // the same by the wall clock
	changed   chan struct{}   // closed when until changes
	held      map[string]tenure
	gone      bool // replaced or closed

	seen map[string]sighting // live nodes by name
}

// tenure is how long a name has been ours without interruption.
type tenure struct {
	first, last uint64 // epochs
	released    bool   // given up, but the directory has not been told yet
}

// New joins the directory. It returns before the session is there; see
// [Directory.Joined]. Until Close, it does not end with ctx. The caller keeps
// nc, and closes it after the Directory.
func New(ctx context.Context, nc *nats.Conn, cfg Config) (*Directory, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	d := &Directory{
		cfg: cfg, nc: nc, js: js, start: time.Now(), poke: make(chan struct{}, 1),
		address: cfg.Address, meta: slices.Clone(cfg.Meta), past: map[string]bool{},
		changed: make(chan struct{}), held: map[string]tenure{}, seen: map[string]sighting{},
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	d.wg.Go(func() { d.keep(run) })
	d.wg.Go(func() { d.watch(run) })
	d.wg.Go(func() { d.tidy(run) })
	return d, nil
}

// Close ends the session, so that others can take over at once, and stops.
func (d *Directory) Close() error {
	d.mu.Lock()
	gone := d.gone
	d.gone = true
	d.mu.Unlock()
	d.expire()
	d.stop()
	d.wg.Wait()
	if gone || !d.nc.IsConnected() {
		return nil
	}
	return d.leave()
}

// Valid reports whether this node may act as owner now: its session was renewed
// less than three quarters of its lifetime ago, by both clocks, because the
// monotonic one stands still while a virtual machine is suspended.
func (d *Directory) Valid() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.validLocked()
}

func (d *Directory) validLocked() bool {
	return time.Since(d.start) < d.until && time.Now().Round(0).Before(d.untilWall)
}

// Joined waits until this node may act as owner, or ctx is done.
func (d *Directory) Joined(ctx context.Context) error {
	for {
		d.mu.Lock()
		valid, changed := d.validLocked(), d.changed
		d.mu.Unlock()
		if valid {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrExpired, ctx.Err())
		}
	}
}

// Announce changes what this node says of itself.
func (d *Directory) Announce(meta []byte) {
	d.mu.Lock()
	d.meta = slices.Clone(meta)
	d.mu.Unlock()
	d.renewNow()
}

// Readdress gives this node another address. What the old one owned is anybody's,
// and told as [Lost].
func (d *Directory) Readdress(address string) {
	d.mu.Lock()
	if address == d.address || nodeOf(address) != d.cfg.Node {
		d.mu.Unlock()
		return
	}
	d.past[d.address] = true
	d.address = address
	lost := slices.Sorted(maps.Keys(d.held))
	clear(d.held)
	d.setUntil(0)
	d.mu.Unlock()
	if len(lost) > 0 {
		d.cfg.Notify(&Lost{Names: lost})
	}
	d.renewNow()
}

func (d *Directory) renewNow() {
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// expire makes this node stop acting as owner.
func (d *Directory) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setUntil(0)
}

// extend makes it owner for three quarters of a lifetime after began, which is
// when the renewal was sent: the server's clock for the key started later. It
// reports false when the address has changed meanwhile.
func (d *Directory) extend(began time.Time, address string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.address != address || d.gone {
		return false
	}
	d.setUntil(began.Sub(d.start) + d.cfg.TTL*3/4)
	d.untilWall = began.Round(0).Add(d.cfg.TTL * 3 / 4)
	return true
}

// setUntil is called with mu held.
func (d *Directory) setUntil(until time.Duration) {
	d.until = until
	close(d.changed)
	d.changed = make(chan struct{})
}

// The buckets. What is lost with the sessions is only who is alive; records must
// survive a restart, because epochs must never fall.
const (
	sessionsBucket  = "sky-sessions"
	recordsBucket   = "sky-records"
	maxBucketBytes  = 64 << 20
	markerLifetime  = 10 * time.Second // how long watchers can see that a key has gone
	maxSessionBytes = 64 << 10
)

// buckets returns the buckets. Those that do not exist, or that were lost with
// a server, are made when fresh is wanted.
func (d *Directory) buckets(ctx context.Context, fresh bool) (sessions, records jetstream.KeyValue, err error) {
	d.mu.Lock()
	sessions, records = d.sessions, d.records
	d.mu.Unlock()
	switch {
	case !d.nc.IsConnected():
		return nil, nil, fmt.Errorf("%w: %w", ErrUnavailable, nats.ErrDisconnected)
	case sessions != nil && !fresh:
		return sessions, records, nil
	}
	sessions, err = d.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: sessionsBucket, Description: "live nodes",
		Storage: jetstream.MemoryStorage, Replicas: d.cfg.Replicas,
		TTL: d.cfg.TTL, LimitMarkerTTL: markerLifetime,
		MaxBytes: maxBucketBytes, MaxValueSize: maxSessionBytes,
	})
	if err != nil {
		return nil, nil, unavailable(err)
	}
	if records, err = d.recordsBucket(ctx); err != nil {
		return nil, nil, unavailable(err)
	}
	d.mu.Lock()
	d.sessions, d.records = sessions, records
	d.mu.Unlock()
	return sessions, records, nil
}

// recordsBucket makes the bucket of the records as the stream that it is,
// because only so its first revision can be chosen: with seconds since 1970,
// epochs rise even if the bucket is lost with its disk.
func (d *Directory) recordsBucket(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := d.js.KeyValue(ctx, recordsBucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	_, err = d.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "KV_" + recordsBucket, Description: "owners of names",
		Subjects: []string{"$KV." + recordsBucket + ".>"},
		Storage:  jetstream.FileStorage, Replicas: d.cfg.Replicas,
		FirstSeq:          uint64(time.Now().Unix()),
		MaxMsgsPerSubject: 1, MaxMsgs: -1, MaxConsumers: -1, MaxMsgSize: 4 << 10, MaxBytes: maxBucketBytes,
		Discard: jetstream.DiscardNew, DenyDelete: true, AllowRollup: true, AllowDirect: true,
		AllowMsgTTL: true, SubjectDeleteMarkerTTL: markerLifetime,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another node was faster
		return nil, err
	}
	return d.js.KeyValue(ctx, recordsBucket)
}

// unavailable puts an error of the network or the server into the tree of
// ErrUnavailable.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// isMissing reports whether err says that a bucket does not exist, as after a
// restart of the server that kept it in memory.
func isMissing(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrStreamNotFound) ||
		errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, nats.ErrNoResponders)
}

package natsbus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
)

const (
	// requestsBucket remembers the commands that came with an id, so that one
	// which is repeated, at whatever node, is carried out once.
	requestsBucket = "sky-requests"

	// remember is for how long.
	remember = 2 * time.Minute

	maxID = 128 // bytes
)

// Refusals of what came with an id.
var (
	errID        = &bus.Error{Code: bus.Invalid, Text: fmt.Sprintf("Nats-Msg-Id: longer than %d bytes", maxID)}
	errOtherBody = &bus.Error{Code: bus.Conflict, Text: "Nats-Msg-Id: was used for another request"}
	errRunning   = &bus.Error{Code: bus.Conflict, Text: "Nats-Msg-Id: the command is being carried out, or its outcome is not known"}
	errMemory    = &bus.Error{Code: bus.Unavailable, Text: "Nats-Msg-Id: cannot be remembered now"}
)

// outcome is what is remembered of a command: neither Response nor Error while
// it is carried out.
type outcome struct {
	Digest   string          `json:"digest"` // of the request
	Response json.RawMessage `json:"response,omitempty"`
	Error    *bus.Error      `json:"error,omitempty"`
}

// once returns what f does, or what it did when it was called for the same
// command and id before.
func (b *Bus) once(ctx context.Context, command, id string, request []byte, f func() (json.RawMessage, error)) (json.RawMessage, error) {
	if len(id) > maxID {
		return nil, errID
	}
	sum := sha256.Sum256(request)
	o := outcome{Digest: hex.EncodeToString(sum[:])}
	kv, err := b.js.KeyValue(ctx, requestsBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) { // it is in memory, and may be lost with its server
		kv, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: requestsBucket, Description: "commands of integrations that came with an id",
			TTL: remember, Storage: jetstream.MemoryStorage, MaxBytes: 16 << 20, Replicas: b.cfg.Replicas,
		})
	}
	if errors.Is(err, jetstream.ErrBucketExists) { // another node was faster
		kv, err = b.js.KeyValue(ctx, requestsBucket)
	}
	if err != nil {
		b.cfg.Log.Warn("commands cannot be remembered", "err", err)
		return nil, errMemory
	}
	key := command + "." + bus.Token(id)
	revision, err := kv.Create(ctx, key, o.encode())
	if errors.Is(err, jetstream.ErrKeyExists) {
		return before(ctx, kv, key, o.Digest)
	}
	if err != nil {
		b.cfg.Log.Warn("command cannot be remembered", "err", err)
		return nil, errMemory
	}
	response, failure := f()
	// The request may have run out of time, what became of it must not be lost.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackWait)
	defer cancel()
	switch code := bus.CodeOf(failure); {
	case errors.Is(failure, errTimeout), code == bus.Internal:
		// Nobody knows, and so nobody may try again.
	case code == bus.Unavailable || code == bus.Full:
		err = kv.Delete(ctx, key, jetstream.LastRevision(revision))
	default:
		o.Response = response
		if failure != nil {
			o.Error = shown(failure)
		}
		_, err = kv.Update(ctx, key, o.encode(), revision)
	}
	if err != nil {
		b.cfg.Log.Warn("outcome of a command cannot be remembered", "command", command, "err", err)
	}
	return response, failure
}

func (o outcome) encode() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // strings, and JSON that was made here
	}
	return b
}

// before answers a command that came before.
func before(ctx context.Context, kv jetstream.KeyValue, key, digest string) (json.RawMessage, error) {
	entry, err := kv.Get(ctx, key)
	if err != nil {
		return nil, errMemory // it was forgotten just now
	}
	var o outcome
	switch err := json.Unmarshal(entry.Value(), &o); {
	case err != nil:
		return nil, err
	case o.Digest != digest:
		return nil, errOtherBody
	case o.Error != nil:
		return nil, o.Error
	case o.Response == nil:
		return nil, errRunning
	}
	return o.Response, nil
}

package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
)

// monitorPort is where NATS serves its state unless told otherwise.
const monitorPort = "8222"

// inspectTimeout bounds each of the questions put to a server.
const inspectTimeout = 500 * time.Millisecond

// inspect fails when the server has no JetStream, or when it can be seen not to
// sync always. When it cannot be seen, it warns, and also when everybody has one
// account.
func (b *Bus) inspect(ctx context.Context) error {
	if _, err := b.js.AccountInfo(ctx); errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return fmt.Errorf("server %s: %w", b.data.ConnectedUrlRedacted(), err)
	}
	syncs, err := b.syncs(ctx)
	switch {
	case err != nil:
		b.cfg.Log.Warn("cannot see whether the nats server syncs always; acknowledged data may be lost in a power cut",
			"server", b.data.ConnectedUrlRedacted(), "remedy", "set jetstream { sync_interval: always } and name its monitoring port", "err", err)
	case !syncs:
		return fmt.Errorf("%w: server %s has JetStream without sync_interval: always", ErrUnsafe, b.data.ConnectedUrlRedacted())
	}
	switch account, err := b.account(ctx); {
	case err != nil:
		b.cfg.Log.Debug("cannot see which nats account is ours", "err", err)
	case account != bus.NodesAccount:
		b.cfg.Log.Warn("nats account is not that of the nodes; whoever reads events in it may be able to change their state and give commands",
			"server", b.data.ConnectedUrlRedacted(), "account", account, "remedy", "give the server the accounts in docs/nats.conf, and connect as "+bus.AccessNode+" in "+bus.NodesAccount)
	}
	return nil
}

// account returns the name of the NATS account that we are in.
func (b *Bus) account(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	m, err := b.data.RequestWithContext(ctx, bus.UserInfo, nil)
	if err != nil {
		return "", err
	}
	var said struct {
		Data struct {
			Account string `json:"account"`
		} `json:"data"`
	}
	if err := json.Unmarshal(m.Data, &said); err != nil {
		return "", err
	}
	if said.Data.Account == "" {
		return "", fmt.Errorf("no account in %.200s", m.Data)
	}
	return said.Data.Account, nil
}

// recheck inspects a server that has come, or come back, while we run. It is
// too late to refuse.
func (b *Bus) recheck(ctx context.Context) {
	if err := b.inspect(ctx); err != nil {
		b.cfg.Log.Error("nats server is not fit", "err", err)
	}
}

// syncs reports whether the server syncs always, or why that cannot be seen.
// Only the system account may ask a NATS server over NATS, so the ways are: the
// program that embeds the server vouches for it, or its monitoring port says.
func (b *Bus) syncs(ctx context.Context) (bool, error) {
	id := b.data.ConnectedServerId()
	ask, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	if m, err := b.data.RequestWithContext(ask, bus.ServerSubject(id), nil); err == nil {
		var said struct {
			SyncAlways bool `json:"sync_always"`
		}
		err := json.Unmarshal(m.Data, &said)
		return said.SyncAlways, err
	}
	if b.cfg.Monitor != "" {
		return jsz(ctx, b.cfg.Monitor, "")
	}
	server, err := url.Parse(b.data.ConnectedUrl())
	if err != nil {
		return false, err
	}
	return jsz(ctx, "http://"+net.JoinHostPort(server.Hostname(), monitorPort), id)
}

// jsz reads the answer from a monitoring port. A non-empty id must be that of
// the server that answers.
func jsz(ctx context.Context, base, id string) (syncs bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	address, err := url.JoinPath(base, "jsz")
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	var said struct {
		ID     string `json:"server_id"`
		Config *struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	switch err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&said); {
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("%s: %s", address, resp.Status)
	case err != nil:
		return false, fmt.Errorf("%s: %w", address, err)
	case said.Config == nil:
		return false, fmt.Errorf("%s says nothing about JetStream", address)
	case id != "" && said.ID != id:
		return false, fmt.Errorf("%s belongs to another server", address)
	}
	return said.Config.SyncAlways, nil
}

// Package client joins rooms as browsers do: with a seat, which the client API
// gives, and a peer connection for its media.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
)

// NewHTTP returns a client that trusts any certificate: it is meant for servers
// of one's own, which have made theirs.
func NewHTTP() *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// A Seat is what a participant has been given in a room. Safe for concurrent use.
type Seat struct {
	http *http.Client
	base string // of the room's paths
	id   string // of the participant

	mu    sync.Mutex // guards token
	token string
}

// Join takes a seat in room at the server whose pages are at origin, such as
// "https://127.0.0.1:8443". [Seat.Leave] gives it back.
func Join(ctx context.Context, c *http.Client, origin, room, name string) (*Seat, error) {
	s := &Seat{http: c, base: strings.TrimSuffix(origin, "/") + "/api/client/v2/conferences/" + url.PathEscape(room) + "/"}
	var seat struct {
		Token string `json:"token"`
		ID    string `json:"participant_uuid"`
	}
	if err := s.post(ctx, "request_token", map[string]any{"display_name": name}, &seat); err != nil {
		return nil, err
	}
	s.token, s.id = seat.Token, seat.ID // nobody else reads them yet
	return s, nil
}

// Call offers what has been added to pc and takes the answer. ICE and DTLS are
// then under way.
func (s *Seat) Call(ctx context.Context, pc *webrtc.PeerConnection) error {
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return ctx.Err()
	}
	var answer struct {
		Call string `json:"call_uuid"`
		SDP  string `json:"sdp"`
	}
	calls := "participants/" + s.id + "/calls"
	body := map[string]any{"call_type": "WEBRTC", "sdp": pc.LocalDescription().SDP}
	if err := s.post(ctx, calls, body, &answer); err != nil {
		return err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.SDP}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return s.post(ctx, calls+"/"+answer.Call+"/ack", map[string]any{}, nil)
}

// Events returns the address of the seat's event stream.
func (s *Seat) Events() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base + "events?token=" + url.QueryEscape(s.token)
}

// Refresh renews the token, which servers take for two minutes.
func (s *Seat) Refresh(ctx context.Context) error {
	var fresh struct {
		Token string `json:"token"`
	}
	if err := s.post(ctx, "refresh_token", map[string]any{}, &fresh); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = fresh.Token
	return nil
}

// Leave gives the seat back. It would expire by itself.
func (s *Seat) Leave(ctx context.Context) error {
	return s.post(ctx, "release_token", map[string]any{}, nil)
}

func (s *Seat) post(ctx context.Context, path string, body, result any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	s.mu.Lock()
	req.Header.Set("token", s.token)
	s.mu.Unlock()
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %.200s", path, resp.Status, answer)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, &struct{ Result any }{result})
}

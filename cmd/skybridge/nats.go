package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
	"github.com/skybridge-media/skybridge/services/integration"
)

// accessDir is where the embedded NATS server's users find their URLs, with the
// passwords in them: one file for each kind of client.
const accessDir = "access"

// commandsVersion is that of the commands, as in semantic versioning: another
// major version takes away or changes what there was.
const commandsVersion = "1.0.0"

// startNATS starts the embedded server and writes down how to connect to it.
func (s *server) startNATS() (*embedded.Server, error) {
	c := s.config
	users, err := loadUsers(c.path(accessDir))
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	if !c.NATSBind.addr.IsLoopback() {
		secure = s.tls
	}
	server, err := embedded.Start(embedded.Config{
		Name: c.Name, Host: c.NATSBind.addr.String(), Port: c.NATSPort, Users: users, TLS: secure, Dir: c.path("nats"), Log: s.log.With("part", "nats"),
	})
	if err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) error { return server.Close() })
	host := c.NATSBind.addr.String()
	if c.NATSBind.addr.IsUnspecified() {
		host = s.advertised().String()
	}
	for _, u := range users {
		if err := writeSecret(c.path(accessDir, u.Name), server.URLFor(host, u)); err != nil {
			return nil, err
		}
	}
	return server, nil
}

// loadUsers returns everybody who may connect, with the passwords that they had
// before.
func loadUsers(dir string) (users []embedded.User, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	for _, a := range bus.Accesses() {
		password, err := readPassword(filepath.Join(dir, a.Name))
		if err != nil {
			return nil, err
		}
		users = append(users, embedded.User{Name: a.Name, Password: password})
	}
	return users, nil
}

// readPassword returns the password in a file that writeSecret has written, and
// a new one when there is no such file.
func readPassword(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return rand.Text(), nil
	}
	if err != nil {
		return "", fmt.Errorf("access: %w", err)
	}
	u, err := url.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return "", fmt.Errorf("access: %s holds no URL; remove it, and there will be a new one", path) // its text is a secret
	}
	// More than 72 bytes are not for bcrypt, and fewer than 16 are for guessing.
	if password, ok := u.User.Password(); ok && len(password) >= 16 && len(password) <= 72 {
		return password, nil
	}
	return "", fmt.Errorf("access: %s: the password is not of 16 to 72 bytes; remove the file, and there will be a new one", path)
}

// writeSecret replaces a file that only its owner may read.
func writeSecret(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("access: %w", err)
	}
	_, err = f.WriteString(text + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("access: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// withoutPassword is what of a list of URLs may be shown.
func withoutPassword(urls string) string {
	list := strings.Split(urls, ",")
	for i, text := range list {
		u, err := url.Parse(strings.TrimSpace(text))
		switch {
		case err != nil:
			list[i] = "(unreadable)"
		default:
			u.User = nil
			list[i] = u.String()
		}
	}
	return strings.Join(list, ",")
}

// serveIntegrations answers the commands of other programs on NATS.
func (s *server) serveIntegrations(context.Context) error {
	commands := integration.New(integration.Deps{System: s.system, Node: s.node, Name: s.config.Name})
	stop, err := s.bus.Serve(natsbus.Service{
		Version: commandsVersion, Node: s.config.Name, Program: version(), Endpoints: commands.Endpoints(),
	})
	if err != nil {
		return err
	}
	s.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, polite)
		defer cancel()
		return stop(ctx)
	})
	return nil
}

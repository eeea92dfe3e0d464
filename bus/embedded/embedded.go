// Package embedded runs a NATS server with JetStream inside this process, so
// that one command is a complete installation.
//
// Every acknowledged write is on disk: the server syncs always, which is not
// the default of NATS. The store directory belongs to one server at a time;
// NATS itself does not check that, so a lock of our own does. A server that
// was started alone stays alone: joining a cluster later with the same
// directory would make NATS delete its streams, so installations grow by leaf
// nodes, or by an external cluster.
package embedded

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"

	"github.com/skybridge-media/skybridge/bus"
)

// Config describes a server. Dir is required; zero values are good otherwise.
type Config struct {
	// Name identifies the server in logs and between servers. It should stay
	// the same for a store directory. The default is "skybridge".
	Name string

	// Host is the address to listen on; the default is 127.0.0.1. An address
	// that others can reach needs a Token, or Users and TLS.
	Host string

	// Port is where to listen; the default, 0, picks a free port.
	Port int

	// Token is what clients must present; empty admits everybody. It must not
	// look like a URL's punctuation: letters, digits, '-' and '_'.
	Token string

	// Users may connect, and nobody else. The first one is the node. Empty leaves
	// it to Token.
	Users []User

	// TLS is what clients over the network must use; nil is for plain
	// connections. Connections in this process need none.
	TLS *tls.Config

	// Dir is the store directory; it is created if it does not exist.
	Dir string

	// Domain is the JetStream domain, the name under which leaf nodes find
	// this server's streams. The default is the server's name.
	Domain string

	// MaxStore and MaxMemory bound what streams may take, in bytes. The
	// defaults are 4 GiB of disk and 256 MiB of memory.
	MaxStore, MaxMemory int64

	// Log is where the server's own log lines go; nil discards them.
	Log *slog.Logger
}

func (c *Config) validate() error {
	c.Name = cmp.Or(c.Name, "skybridge")
	c.Host = cmp.Or(c.Host, "127.0.0.1")
	c.Domain = cmp.Or(c.Domain, bus.Token(c.Name))
	if c.MaxStore == 0 {
		c.MaxStore = 4 << 30
	}
	if c.MaxMemory == 0 {
		c.MaxMemory = 256 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Dir == "":
		return errors.New("embedded: Dir: a store directory is required")
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("embedded: Port: %d is not a port", c.Port)
	case strings.ContainsAny(c.Name, " \t\r\n"):
		return fmt.Errorf("embedded: Name: %q contains white space", c.Name)
	case strings.ContainsAny(c.Domain, " .*>\t\r\n"):
		return fmt.Errorf("embedded: Domain: %q is not one subject token", c.Domain)
	case c.Token == "" && len(c.Users) == 0 && !isLoopback(c.Host):
		return fmt.Errorf("embedded: Host: %s is open to others, which needs a Token, or Users and TLS", c.Host)
	case len(c.Users) > 0 && c.TLS == nil && !isLoopback(c.Host):
		return fmt.Errorf("embedded: Host: %s is open to others, who would see the passwords of Users without TLS", c.Host)
	case len(c.Users) > 0 && c.Token != "":
		return errors.New("embedded: Token: there are Users")
	case url.PathEscape(c.Token) != c.Token:
		return errors.New("embedded: Token: only letters, digits, '-' and '_' are allowed")
	}
	return nil
}

// A Server is a running NATS server. It is safe for concurrent use.
type Server struct {
	cfg   Config
	srv   *server.Server
	store *store
	conn  *nats.Conn // answers for the server, see bus.ServerSubject
	url   string
}

// A User is somebody who may connect: one of those in [bus.Accesses].
type User struct{ Name, Password string }

// startTimeout is how long a server may take to recover its streams.
const startTimeout = 30 * time.Second

// Start runs a server and returns once it accepts connections. It fails when
// the directory is locked by another process or cannot be written, and when
// the address is taken.
func Start(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	store, err := openStore(cfg.Dir, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	s := &Server{store: store, cfg: cfg}
	if err := s.start(cfg); err != nil {
		return nil, fmt.Errorf("embedded: %w", errors.Join(err, s.Close()))
	}
	cfg.Log.Info("nats server started", "addr", s.srv.Addr().String(), "dir", cfg.Dir)
	return s, nil
}

func (s *Server) start(cfg Config) error {
	opts, err := options(cfg)
	if err != nil {
		return err
	}
	if len(cfg.Users) > 0 {
		if err := adopt(cfg.Dir, cfg.Log); err != nil {
			return err
		}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.srv = srv
	log := newLogger(cfg.Log)
	srv.SetLoggerV2(log, cfg.Log.Enabled(context.Background(), slog.LevelDebug), false, false)
	srv.Start()
	for deadline := time.Now().Add(startTimeout); !srv.ReadyForConnections(50 * time.Millisecond); {
		if err := log.fatal(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %v", startTimeout)
		}
	}
	if err := log.fatal(); err != nil { // it may accept connections without JetStream
		return err
	}
	s.url = s.urlFor(cfg, dialHost(cfg.Host), credentials(cfg))
	return s.vouch(cfg)
}

// options are the settings of the server, each of which the default would get
// wrong for us.
func options(cfg Config) (*server.Options, error) {
	port := cfg.Port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	opts := &server.Options{
		TLSConfig:     cfg.TLS,
		TLS:           cfg.TLS != nil,
		TLSTimeout:    2, // seconds
		ServerName:    cfg.Name,
		Host:          cfg.Host,
		Port:          port,
		Authorization: cfg.Token,
		NoLog:         true, // SetLoggerV2 comes later
		NoSigs:        true, // its handlers call os.Exit

		JetStream:              true,
		JetStreamDomain:        cfg.Domain,
		JetStreamMaxStore:      cfg.MaxStore,
		JetStreamMaxMemory:     cfg.MaxMemory,
		DisableJetStreamBanner: true,
		StoreDir:               cfg.Dir,
		SyncAlways:             true, // otherwise acknowledged up to two minutes before the disk has it

		NoFastProducerStall: true,     // one frozen node must not slow the others down
		MaxPending:          16 << 20, // held in our own heap for each connection
		WriteDeadline:       2 * time.Second,
		PingInterval:        2 * time.Second,
		MaxPingsOut:         2,
	}
	if len(cfg.Users) > 0 {
		if err := giveAccounts(opts, cfg.Users); err != nil {
			return nil, err
		}
	}
	return opts, nil
}

// giveAccounts admits users, each to an account of its own, and nobody else. The
// passwords are long and random, so the cheapest hash is as good as any.
func giveAccounts(opts *server.Options, users []User) error {
	var names []string
	for _, a := range bus.Accesses() {
		names = append(names, a.Name)
	}
	hashes := map[string]string{}
	for _, u := range users {
		switch {
		case !slices.Contains(names, u.Name):
			return fmt.Errorf("user %q: not one of %s", u.Name, strings.Join(names, ", "))
		case hashes[u.Name] != "":
			return fmt.Errorf("user %q: there is one already", u.Name)
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(u.Password), bcrypt.MinCost)
		if err != nil {
			return fmt.Errorf("user %s: %w", u.Name, err)
		}
		hashes[u.Name] = strconv.Quote(string(hash))
	}
	return opts.ProcessConfigString(bus.ServerAccounts(func(name string) string { return hashes[name] }))
}

// A statement is what a server says of itself at [bus.ServerSubject].
type statement struct {
	SyncAlways bool `json:"sync_always"`
}

// vouch answers clients that want to know whether this server syncs. They
// cannot see it otherwise without access to the system account.
func (s *Server) vouch(cfg Config) error {
	conn, err := nats.Connect("", nats.InProcessServer(s.srv), login(cfg), nats.Name("server"), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect in process: %w", err)
	}
	s.conn = conn
	answer, err := json.Marshal(statement{SyncAlways: s.srv.JetStreamConfig().SyncAlways})
	if err != nil {
		return err
	}
	if _, err := conn.Subscribe(bus.ServerSubject(s.srv.ID()), func(m *nats.Msg) { _ = m.Respond(answer) }); err != nil {
		return err
	}
	return conn.Flush()
}

func login(cfg Config) nats.Option {
	if len(cfg.Users) > 0 {
		return nats.UserInfo(cfg.Users[0].Name, cfg.Users[0].Password)
	}
	return nats.Token(cfg.Token)
}

// URL returns what clients connect to, the token or the credentials of the first
// user included.
func (s *Server) URL() string { return s.url }

// URLFor returns what a user connects to, credentials included, who reaches this
// machine at host.
func (s *Server) URLFor(host string, u User) string {
	return s.urlFor(s.cfg, host, url.UserPassword(u.Name, u.Password))
}

func (s *Server) urlFor(cfg Config, host string, who *url.Userinfo) string {
	scheme := "nats"
	if cfg.TLS != nil {
		scheme = "tls"
	}
	return (&url.URL{Scheme: scheme, Host: net.JoinHostPort(host, portOf(s.srv.Addr())), User: who}).String()
}

// InProcessConn makes Server a nats.InProcessConnProvider: a way to connect
// without a socket, and without TLS.
func (s *Server) InProcessConn() (net.Conn, error) { return s.srv.InProcessConn() }

// Close stops the server, waits until all data is on disk, and gives the
// directory up. Clients should have been drained before. A second call does
// nothing.
func (s *Server) Close() error {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
	}
	return s.store.close()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// dialHost is where to reach a server that listens on host.
func dialHost(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}

func portOf(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return strconv.Itoa(tcp.Port)
	}
	return ""
}

func credentials(cfg Config) *url.Userinfo {
	switch {
	case len(cfg.Users) > 0:
		return url.UserPassword(cfg.Users[0].Name, cfg.Users[0].Password)
	case cfg.Token == "":
		return nil
	}
	return url.User(cfg.Token)
}

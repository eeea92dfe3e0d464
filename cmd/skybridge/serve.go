package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// goodbye is how long the program takes to end, at most, before it gives up on
// peers that do not answer.
const goodbye = 4 * time.Second

// polite is how long requests that run may go on after that was asked for.
const polite = 300 * time.Millisecond

func serveCommand() *cobra.Command {
	c := &config{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the server: SIP, WebRTC, the web page and its API, and an embedded NATS server
unless --nats names another.

Every setting is a flag, an environment variable (SKYBRIDGE_SIP_PORT for
--sip-port) and a key of the YAML file (sip-port), in this order of precedence.
Rooms are in the file; docs/manual/configuration.md shows one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, c, "", nil) },
	}
	c.flags(cmd.Flags())
	return cmd
}

// serve runs a server until the command's context is done, and meanwhile, if it
// is not nil, what else needs one. The links that it prints lead to room unless
// that is empty.
func serve(cmd *cobra.Command, c *config, room string, meanwhile func(context.Context, *server) error) error {
	if err := c.load(cmd.Flags(), os.Environ()); err != nil {
		return err
	}
	log, lines := newLogger(cmd.ErrOrStderr(), c.Log.level)
	defer lines.Close()
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	s, err := start(ctx, c, log, lines, cancel)
	if err != nil {
		return err
	}
	s.printLinks(cmd.OutOrStdout(), room)
	var work sync.WaitGroup
	if meanwhile != nil {
		work.Go(func() {
			if err := meanwhile(ctx, s); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	log.Info("stopping", "cause", context.Cause(ctx))
	work.Wait()
	err = s.stop()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// newLogger writes text to a terminal and JSON to everything else. Durations in
// JSON are numbers of seconds, as in the metrics.
func newLogger(w io.Writer, level slog.Level) (*slog.Logger, *logWriter) {
	opts, lines := &slog.HandlerOptions{Level: level}, newLogWriter(w)
	seconds := func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.Float64Value(a.Value.Duration().Seconds())
		}
		return a
	}
	var h slog.Handler = slog.NewTextHandler(lines, opts)
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		opts.ReplaceAttr = seconds
		h = slog.NewJSONHandler(lines, opts)
	}
	log := slog.New(h)
	lines.tell = func(lost int64) { log.Warn("the log was too slow", "lines_lost", lost) }
	go lines.run()
	return log, lines
}

// printLinks says where the server, or one room of it, can be reached. Scripts
// read these lines.
func (s *server) printLinks(w io.Writer, room string) {
	host := s.reachable()
	at := func(port uint16) string { return netip.AddrPortFrom(host, port).String() }
	fmt.Fprintf(w, "Skybridge %s is running as %q.\n\n", version(), s.config.Name)
	page := "/"
	switch {
	case room != "":
		page = "/join/" + room
	case !s.config.AdHoc && len(s.config.Rooms) > 0:
		room = s.config.Rooms[0].Name
	default:
		room = "ROOM"
	}
	fmt.Fprintf(w, "  web      %s%s\n", s.webURL(), page)
	fmt.Fprintf(w, "  sip      sip:%s@%s\n", room, at(s.sipPort))
	fmt.Fprintf(w, "  sips     sips:%s@%s\n", room, at(s.sipsPort))
	fmt.Fprintf(w, "  whip     %s/whip/%s\n", s.webURL(), room)
	fmt.Fprintf(w, "  webrtc   %s (UDP and TCP)\n", at(s.webrtcPort))
	if s.opsURL != "" {
		fmt.Fprintf(w, "  metrics  %s/metrics\n", s.opsURL)
	}
	fmt.Fprintf(w, "  nats     %s\n", s.natsURL)
	if s.config.NATS == "" {
		fmt.Fprintf(w, "           for integrations: %s\n", s.config.path(accessDir))
	}
	if s.config.Bind.addr.IsUnspecified() && s.config.Public == "" && s.outward.IsValid() {
		fmt.Fprintf(w, "\nOthers on this network reach it at %s.\n", s.outward)
	}
	fmt.Fprint(w, "\nCtrl-C ends it.\n")
}

// reachable is an address at which this machine reaches the server.
func (s *server) reachable() netip.Addr {
	if s.config.Bind.addr.IsUnspecified() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return s.config.Bind.addr
}

// advertised is the address that peers and other nodes are told.
func (s *server) advertised() netip.Addr {
	switch {
	case s.config.Public != "":
		return netip.MustParseAddr(s.config.Public) // validated
	case !s.config.Bind.addr.IsUnspecified():
		return s.config.Bind.addr
	case s.outward.IsValid():
		return s.outward
	}
	return s.reachable()
}

func (s *server) webURL() string {
	return "https://" + netip.AddrPortFrom(s.reachable(), s.httpsPort).String()
}

// outwardAddr is the address with which this machine reaches others; invalid
// when it reaches nobody. Nothing is sent.
func outwardAddr() netip.Addr {
	conn, err := net.Dial("udp4", "192.0.2.1:9") // TEST-NET-1, RFC 5737
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	addr := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	if addr.IsLoopback() {
		return netip.Addr{}
	}
	return addr
}

// serve answers on l, with TLS unless config is nil, until the server stops.
// Clients that keep event streams open are cut off at the end.
func (s *server) serve(name string, l net.Listener, config *tls.Config, h http.Handler) {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // peers that hang up in a handshake
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		if config == nil {
			err = srv.Serve(l)
		} else {
			srv.TLSConfig = config.Clone() // gets HTTP/2 added
			err = srv.ServeTLS(l, "", "")
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	s.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, polite)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close() // its only error is that of the listener, which is closed
		}
		<-done
		return nil
	})
}

// closeListener closes what an http.Server may have closed already.
func closeListener(l net.Listener) error {
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (c *config) address(port uint16) string {
	return net.JoinHostPort(c.Bind.addr.String(), strconv.Itoa(int(port)))
}

func (c *config) path(elem ...string) string {
	return filepath.Join(append([]string{c.Data}, elem...)...)
}

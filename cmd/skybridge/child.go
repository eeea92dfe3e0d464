package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A child is a server under measurement.
type child struct {
	cmd *exec.Cmd
	dir string
	sip netip.AddrPort // UDP

	web, metrics string // origin; URL
}

// startChild runs this program as a server in a process of its own, on free
// ports of 127.0.0.1, with a data directory that goes with it.
func startChild(ctx context.Context, args ...string) (*child, error) {
	return startChildLogging(ctx, nil, append([]string{"--log", "error"}, args...)...)
}

// startChildLogging does so for a server that logs to a file; nil is our own
// standard error.
func startChildLogging(ctx context.Context, log *os.File, args ...string) (*child, error) {
	if log == nil {
		log = os.Stderr
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program: %w", err)
	}
	dir, err := os.MkdirTemp("", "skybridge-bench-")
	if err != nil {
		return nil, err
	}
	c := &child{dir: dir}
	args = append([]string{
		"serve", "--data", filepath.Join(dir, "data"), "--bind", "127.0.0.1",
		"--sip-port", "0", "--sips-port", "0", "--https-port", "0", "--webrtc-port", "0", "--ops", "127.0.0.1:0",
		"--capacity", "1000000", // what it can carry is to be found out
	}, args...)
	c.cmd = exec.CommandContext(ctx, program, args...)
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = 5 * time.Second
	c.cmd.Stderr = log
	for _, kv := range os.Environ() { // what is measured does not depend on settings of the place
		if !strings.HasPrefix(kv, "SKYBRIDGE_") {
			c.cmd.Env = append(c.cmd.Env, kv)
		}
	}
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a server: %w", err), os.RemoveAll(dir))
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if at, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "sip "); ok {
			_, host, _ := strings.Cut(strings.Fields(at)[0], "@")
			c.sip, err = netip.ParseAddrPort(host)
		}
		if url, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "web "); ok {
			c.web = strings.TrimSuffix(strings.TrimSpace(url), "/")
		}
		if url, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "metrics "); ok {
			c.metrics = strings.TrimSpace(url)
		}
		if strings.Contains(lines.Text(), "Ctrl-C") {
			break
		}
	}
	if err != nil || !c.sip.IsValid() {
		c.stop()
		return nil, errors.Join(errors.New("the server did not start; its messages are above"), err)
	}
	return c, nil
}

// stop ends the server and removes what it kept.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = c.cmd.Wait()
	_ = os.RemoveAll(c.dir)
}

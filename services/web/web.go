// Package web serves the join page and what it needs, embedded in the binary:
// plain HTML, CSS and modules, without a build step. The page speaks the client
// API of services/api, from the same origin.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed static
var files embed.FS

// policy allows the page what it uses and nothing else: its own scripts and
// styles, its own API, and media streams. Nodes of a cluster send callers to
// each other, so connections may go to other https origins.
const policy = "default-src 'self'; connect-src 'self' https:; media-src 'self' blob: mediastream:; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// New returns the handler of the page: "/" and "/join/ROOM", which opens the
// page with the room filled in.
func New() http.Handler {
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	index := func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, static, "index.html") }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", index)
	mux.HandleFunc("GET /join/{room}", index)
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self)")
		h.Set("Cache-Control", "no-cache") // embedded files have no date; ask again after an upgrade
		mux.ServeHTTP(w, r)
	})
}

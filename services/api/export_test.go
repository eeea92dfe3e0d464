package api

import (
	"strings"
	"time"
)

// QuickGrace shortens how long a seat may be without its call.
func QuickGrace(c *Config) { c.lostGrace = time.Millisecond }

// Functions lists the functions that need a token, as "METHOD path".
func Functions() (list []string) {
	for pattern := range (&Server{}).functions() {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.TrimPrefix(path, conferences)
		list = append(list, method+" "+strings.NewReplacer("{participant}", "ID", "{call}", "CALL", "{rest...}", "REST").Replace(path))
	}
	return list
}

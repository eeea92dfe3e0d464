package api

import "time"

// QuickGrace shortens how long a seat may be without its call.
func QuickGrace(c *Config) { c.lostGrace = time.Millisecond }

package natsbus

import "github.com/skybridge-media/skybridge/bus"

// Status is the number of a code.
func Status(c bus.Code) string { return status[c] }

//go:build !linux

package priority

import "errors"

// Prompt does nothing here.
func Prompt() error { return nil }

// Background does nothing where niceness belongs to the whole process.
func Background() error { return nil }

// RealTime is not supported here.
func RealTime(int) error { return errors.ErrUnsupported }

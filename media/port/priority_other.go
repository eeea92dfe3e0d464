//go:build !linux

package port

// lowerPriority does nothing where threads have no priority of their own.
func lowerPriority() {}

//go:build !linux

package bridge

// lowerPriority does nothing where niceness belongs to the whole process.
func lowerPriority() {}

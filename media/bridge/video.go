package bridge

// eye is what the video goroutine knows of a leg.
type eye struct{}

func (b *Bridge) film() {}

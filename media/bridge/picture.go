package bridge

import (
	"sync/atomic"
	"time"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// A SharedPicture is a decoded picture with several readers. The one who makes
// it holds one reference; [SharedPicture.Retain] adds one, Release gives one
// back, and the last Release returns the memory to its pool.
type SharedPicture struct {
	yuv.Picture
	Received time.Time // arrival of the packet that completed it

	refs    atomic.Int32
	release func(*SharedPicture)
}

// NewSharedPicture wraps pic with one reference. release, which may be nil, is
// called when nobody holds it any more.
func NewSharedPicture(pic yuv.Picture, received time.Time, release func(*SharedPicture)) *SharedPicture {
	p := &SharedPicture{Picture: pic, Received: received, release: release}
	p.refs.Store(1)
	return p
}

// Retain adds a reference and reports true, unless the picture has been
// released by its last holder already. Safe for concurrent use.
func (p *SharedPicture) Retain() bool {
	for {
		n := p.refs.Load()
		if n <= 0 {
			return false
		}
		if p.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives one reference back. Safe for concurrent use.
func (p *SharedPicture) Release() {
	if p.refs.Add(-1) == 0 && p.release != nil {
		p.release(p)
	}
}

package bridge_test

import "github.com/skybridge-media/skybridge/media/bridge"

// film is a caller's video.
type film struct{}

func (f *film) WantVideo(width, height int)        {}
func (f *film) Picture() *bridge.SharedPicture     { return nil }
func (f *film) VideoOut() (bridge.VideoSpec, bool) { return bridge.VideoSpec{}, false }
func (f *film) WriteVideo(*bridge.VideoFrame)      {}
func (f *film) TakeKeyFrameRequest() bool          { return false }

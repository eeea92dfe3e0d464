package sdp

import "testing"

func TestParseH264(t *testing.T) {
	tests := []struct {
		fmtp   string
		want   h264
		usable bool
	}{
		// RFC 6184 section 8.1: without profile-level-id "the Baseline profile
		// without additional constraints at level 1 MUST be inferred".
		{"", h264{profile: 66, level: 10}, true},
		{"profile-level-id=42e01f;packetization-mode=1", h264{profile: 66, flags: 0xe0, level: 31, mode: 1}, true},
		{"PACKETIZATION-MODE=1; Profile-Level-Id=4D0020", h264{profile: 77, level: 32, mode: 1}, true},
		{"profile-level-id=640c1f; level-asymmetry-allowed=1", h264{profile: 100, flags: 0x0c, level: 31, asymmetry: true}, true},
		{"profile-level-id=42f00b", h264{profile: 66, flags: 0xf0, level: level1b}, true},
		{"profile-level-id=640009", h264{profile: 100, level: level1b}, true},
		{"profile-level-id=f4001f", h264{profile: 244, level: 31}, false}, // High 4:4:4
		{"profile-level-id=42e01f;packetization-mode=2", h264{profile: 66, flags: 0xe0, level: 31, mode: 2}, false},
		{"profile-level-id=42e0", h264{profile: 66, level: 10}, true}, // wrong: as if missing
		{
			"profile-level-id=428014;max-mbps=40500;max-fs=1344;max-br=2500;max-cpb=1;max-dpb=2",
			h264{profile: 66, flags: 0x80, level: 20, maxMBPS: 40500, maxFS: 1344, maxBR: 2500},
			true,
		},
		{"max-fs=-1;max-mbps=99999999999999999999", h264{profile: 66, level: 10}, true},
	}
	for _, tt := range tests {
		if got := parseH264(format{fmtp: tt.fmtp}); got != tt.want || got.usable() != tt.usable {
			t.Errorf("%q: got %+v, usable %v; want %+v", tt.fmtp, got, got.usable(), tt.want)
		}
	}
}

func TestProfileLevelID(t *testing.T) {
	for _, id := range []string{"42e01f", "42801f", "42001f", "4d0020", "640c1f", "42f00b", "640009", "42000a"} {
		if got := parseH264(format{fmtp: "profile-level-id=" + id}).profileLevelID(); got != id {
			t.Errorf("%s became %s", id, got)
		}
	}
}

// Each level carries what endpoints use it for.
func TestFit(t *testing.T) {
	tests := []struct {
		fmtp                string
		rate                int // a=framerate
		width, height, want int
	}{
		{"profile-level-id=42e00a", 0, 192, 108, 17},
		{"profile-level-id=42f00b", 0, 192, 108, 17},
		{"profile-level-id=42e00c", 0, 384, 216, 17},
		{"profile-level-id=42e00d", 0, 384, 216, 30},
		{"profile-level-id=42e015", 0, 512, 288, 30},
		{"profile-level-id=42e016", 0, 768, 448, 15},
		{"profile-level-id=42e01e", 0, 768, 448, 30},
		{"profile-level-id=42e01f", 0, 1280, 720, 30},
		{"profile-level-id=42e01f", 25, 1280, 720, 25},
		{"profile-level-id=42e01f", 5, 1280, 720, 5},
		{"profile-level-id=42e028", 0, 1920, 1080, 30},
		{"profile-level-id=42e063", 0, 1920, 1080, 30},
		{"profile-level-id=42e00d;max-fs=3600;max-mbps=108000", 0, 1280, 720, 30},
		{"profile-level-id=42e00d;max-fs=3600", 0, 512, 288, 20}, // room for the picture, not for the film
	}
	c := &Capabilities{Width: 1920, Height: 1080}
	for _, tt := range tests {
		l := parseH264(format{fmtp: tt.fmtp}).limits()
		if w, h, fps := c.fit(Video, l.maxFS, l.maxMBPS, tt.rate); w != tt.width || h != tt.height || fps != tt.want {
			t.Errorf("%s: got %dx%d@%d, want %dx%d@%d", tt.fmtp, w, h, fps, tt.width, tt.height, tt.want)
		}
	}
}

func TestFitKeepsToOurs(t *testing.T) {
	c := &Capabilities{Width: 1024, Height: 576, FrameRate: 25}
	if w, h, fps := c.fit(Video, 0, 0, 0); w != 1024 || h != 576 || fps != 25 {
		t.Errorf("no limit: %dx%d@%d", w, h, fps)
	}
	if w, h, fps := c.fit(Video, 1, 1, 0); w != 192 || h != 108 || fps != 1 {
		t.Errorf("next to nothing: %dx%d@%d", w, h, fps)
	}
}

func TestLevelFor(t *testing.T) {
	for _, tt := range []struct {
		width, height, rate int
		want                byte
	}{{1280, 720, 30, 31}, {1280, 720, 60, 32}, {1920, 1080, 30, 40}, {640, 360, 30, 30}, {176, 144, 15, 10}, {9999, 9999, 99, 52}} {
		if got := levelFor(tt.width, tt.height, tt.rate); got != tt.want {
			t.Errorf("%dx%d@%d: level %d, want %d", tt.width, tt.height, tt.rate, got, tt.want)
		}
	}
}

func TestParameterSets(t *testing.T) {
	for _, tt := range []struct{ fmtp, want string }{
		{"sprop-parameter-sets=Z0KAFJWgUAX5,aM48gA==", "\x00\x00\x00\x01\x67\x42\x80\x14\x95\xa0\x50\x05\xf9\x00\x00\x00\x01\x68\xce\x3c\x80"},
		{"sprop-parameter-sets=Z0KAFJWgUAX5,", "\x00\x00\x00\x01\x67\x42\x80\x14\x95\xa0\x50\x05\xf9"},
		{"sprop-parameter-sets=BgUE", ""}, // SEI
		{"sprop-parameter-sets=!", ""},
		{"", ""},
	} {
		if got := parameterSets(format{fmtp: tt.fmtp}); string(got) != tt.want {
			t.Errorf("%s: %x", tt.fmtp, got)
		}
	}
}

// RFC 3890: TIAS counts the media alone, AS the headers too.
func TestBitrate(t *testing.T) {
	tests := []struct {
		name  string
		kind  Kind
		lines []Bandwidth
		want  int
	}{
		{"none", Video, nil, 0},
		{"AS", Video, []Bandwidth{{"AS", 1000}}, 950_000},
		{"AS of audio", Audio, []Bandwidth{{"AS", 80}}, 64_000},
		{"TIAS wins, whatever the order", Video, []Bandwidth{{"TIAS", 500_000}, {"AS", 4000}}, 500_000},
		{"TIAS wins", Video, []Bandwidth{{"AS", 100}, {"TIAS", 500_000}}, 500_000},
		{"zero is no limit", Video, []Bandwidth{{"AS", 0}}, 0},
		{"others", Video, []Bandwidth{{"CT", 1}, {"RS", 2}, {"RR", 3}}, 0},
		{"absurd", Video, []Bandwidth{{"AS", 1 << 39}}, 0},
	}
	for _, tt := range tests {
		if got := bitrate(tt.lines, tt.kind); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func FuzzParseCrypto(f *testing.F) {
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh|2^31|1:4")
	f.Add("2 AEAD_AES_128_GCM inline:Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjYw== WSH=64")
	f.Add("3 AES_CM_128_HMAC_SHA1_32 inline:|99999:0;inline:")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCrypto(s)
		if err != nil {
			return
		}
		for _, k := range c.keys {
			if len(k.Master) != c.suite.KeyLen() || len(k.MKI) > 128 {
				t.Errorf("key of %d bytes, MKI of %d", len(k.Master), len(k.MKI))
			}
		}
		again, err := parseCrypto(c.String())
		if err != nil || again.tag != c.tag || again.suite != c.suite || string(again.keys[0].Master) != string(c.keys[0].Master) {
			t.Errorf("%q became %q, %v", s, c, err)
		}
	})
}

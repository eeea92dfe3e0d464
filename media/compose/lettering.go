package compose

import (
	"image"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// typeface is Go Regular: Latin, Greek, Cyrillic and symbols (WGL4), under a
// BSD licence. What it lacks shows as a box.
var typeface = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		panic("compose: the embedded font is broken: " + err.Error())
	}
	return f
})

const (
	// maxLetters is how much of a name is looked at. More does not fit a tile.
	maxLetters = 64

	// maxLine is that for a line of text on a whole picture.
	maxLine = 128

	// maxTexts is how many rendered texts a lettering keeps: a name per tile
	// in two sizes for a hundred participants. At about 10 kB each, 2 MB.
	maxTexts = 200

	ellipsis = "…"
)

// lettering renders text, each once per size, and keeps the results. Safe for
// concurrent use; the pictures it returns are immutable.
type lettering struct {
	mu    sync.Mutex // guards what follows; a font.Face is not safe either
	faces map[int]font.Face
	texts map[text]*yuv.Picture
}

// text is what there is to render.
type text struct {
	words   string
	size    int // pixels per em
	room    int // pixels that the result may be wide
	ink, bg yuv.Color
}

// render returns a picture with t in the middle of its background, just large
// enough, with room for tall letters above and deep ones below.
func (l *lettering) render(t text) *yuv.Picture {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pic := l.texts[t]; pic != nil {
		return pic
	}
	if l.texts == nil || len(l.texts) >= maxTexts {
		// All at once: the names of who is here now come back with the next
		// picture, those of who was here are gone.
		l.texts = map[text]*yuv.Picture{}
	}
	pic := draw(l.face(t.size), t)
	l.texts[t] = pic
	return pic
}

// face returns the typeface in a size. It needs mu.
func (l *lettering) face(size int) font.Face {
	if f := l.faces[size]; f != nil {
		return f
	}
	f, err := opentype.NewFace(typeface(), &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic("compose: the embedded font does not scale: " + err.Error())
	}
	if l.faces == nil {
		l.faces = map[int]font.Face{}
	}
	l.faces[size] = f
	return f
}

// draw renders t without looking whether that has been done.
func draw(face font.Face, t text) *yuv.Picture {
	pad := t.size / 3
	words := shorten(face, t.words, t.room-2*pad)
	m := face.Metrics()
	ascent, descent := m.Ascent.Ceil(), m.Descent.Ceil()
	w := even(font.MeasureString(face, words).Ceil() + 2*pad + 1)
	h := even(ascent + descent + 1)
	mask := image.NewAlpha(image.Rect(0, 0, w, h))
	d := font.Drawer{Dst: mask, Src: image.Opaque, Face: face, Dot: fixed.P(pad, ascent)}
	d.DrawString(words)

	pic := yuv.New(max(2, w), max(2, h))
	pic.Fill(t.bg)
	blend := func(ink, bg byte, alpha int) byte {
		return byte((int(ink)*alpha + int(bg)*(255-alpha) + 127) / 255)
	}
	for y := range h {
		for x := range w {
			if a := mask.Pix[y*mask.Stride+x]; a != 0 {
				pic.Y[y*pic.StrideY+x] = blend(t.ink.Y, t.bg.Y, int(a))
			}
		}
	}
	for y := range h / 2 {
		for x := range w / 2 {
			at := 2*y*mask.Stride + 2*x
			a := int(mask.Pix[at]) + int(mask.Pix[at+1]) + int(mask.Pix[at+mask.Stride]) + int(mask.Pix[at+mask.Stride+1])
			pic.U[y*pic.StrideUV+x] = blend(t.ink.U, t.bg.U, a/4)
			pic.V[y*pic.StrideUV+x] = blend(t.ink.V, t.bg.V, a/4)
		}
	}
	return pic
}

// shorten cuts words so that they fit, and shows that it did.
func shorten(face font.Face, words string, room int) string {
	if font.MeasureString(face, words).Ceil() <= room {
		return words
	}
	letters := []rune(words)
	for n := len(letters) - 1; n > 0; n-- {
		cut := strings.TrimRightFunc(string(letters[:n]), unicode.IsSpace) + ellipsis
		if font.MeasureString(face, cut).Ceil() <= room {
			return cut
		}
	}
	return ""
}

// clean makes a name from outside fit for a label: composed letters, one line,
// nothing invisible that changes how the rest is shown.
func clean(name string) string { return tidy(name, maxLetters) }

// tidy is clean for at most that many letters.
func tidy(name string, letters int) string {
	var b strings.Builder
	n := 0
	for _, r := range norm.NFC.String(name[:min(len(name), 8*letters)]) {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case !unicode.IsGraphic(r), unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r):
			continue
		}
		if n++; n > letters {
			break
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// initials returns the first letters of the first and the last word of a clean
// name, in upper case; "" if it has no letters.
func initials(name string) string {
	var first, last rune
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		r := []rune(word)[0]
		if first == 0 {
			first = r
		} else {
			last = r
		}
	}
	switch {
	case first == 0:
		return ""
	case last == 0:
		return string(unicode.ToUpper(first))
	}
	return string([]rune{unicode.ToUpper(first), unicode.ToUpper(last)})
}

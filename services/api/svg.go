package api

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/skybridge-media/skybridge/media/compose"
)

// The size of a layout's picture.
const svgWidth, svgHeight = 160, 90

// layoutPictures draws every layout once, full of participants.
var layoutPictures = sync.OnceValue(func() map[string]string {
	pictures := map[string]string{}
	for _, name := range compose.Layouts() {
		layout, err := compose.Parse(name)
		if err != nil {
			continue // it was listed, so it is known
		}
		pictures[fromLayout(name)] = draw(layout)
	}
	return pictures
})

// draw makes a picture of a layout: its tiles, the large one darker.
func draw(layout *compose.Layout) string {
	members := make([]compose.Member, layout.Seats())
	for i := range members {
		members[i].ID = fmt.Sprint(i)
	}
	a := layout.Arrange(members, nil, "", nil)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">`, svgWidth, svgHeight)
	for i := range a.Seats {
		r, fill := a.Rect(i, svgWidth, svgHeight), "#9aa5b1"
		if i == a.Main() {
			fill = "#52606d"
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" rx="2" fill="%s"/>`, r.X+1, r.Y+1, r.W-2, r.H-2, fill)
	}
	b.WriteString("</svg>")
	return b.String()
}

func (s *Server) layoutSVGs(*seat, http.ResponseWriter, *http.Request) (any, error) {
	return layoutPictures(), nil
}

// Package compose shows many participants in one picture: layouts, who sits
// where in them, and the painting of it.
//
// Where everybody goes is a pure function ([Layout.Arrange]); that a tile stays
// where it is while somebody else speaks follows from the arrangement before
// being one of its arguments. A [Painter] then paints a [Canvas], and only what
// has changed on it: in a conference where nobody moves, nothing is painted.
//
// A picture that does not have the shape of its tile is cropped if that costs
// at most an eighth of its width or height, as 16:10 does; otherwise it is shown
// whole between bars, as 4:3 and upright ones are, and what is presented always is.
// A participant without a
// picture gets its initials on a colour that follows from its name.
package compose

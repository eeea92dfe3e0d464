/* libyuv declares more than cgo needs to read; these are the parts in use. */
#include <libyuv/compare.h>
#include <libyuv/convert.h>
#include <libyuv/convert_argb.h>
#include <libyuv/scale.h>

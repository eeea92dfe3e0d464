/* libyuv declares more than cgo needs to read; these are the parts in use. */
#include <libyuv/compare.h>
#include <libyuv/convert.h>
#include <libyuv/convert_argb.h>
#include <libyuv/scale.h>

typedef struct {
	uint8_t *y, *u, *v;
	int stride_y, stride_uv, width, height;
} sky_yuv_picture;

/* Fills dst with src; any status but 0 is an error. */
int sky_yuv_scale(
		uint8_t *src_y, uint8_t *src_u, uint8_t *src_v, int src_stride_y, int src_stride_uv, int src_width, int src_height,
		uint8_t *dst_y, uint8_t *dst_u, uint8_t *dst_v, int dst_stride_y, int dst_stride_uv, int dst_width, int dst_height);

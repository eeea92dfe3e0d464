/*
 * libvpx hands out results through iterators and takes options through a
 * variadic function. This header gives every step that Go takes one function,
 * and keeps what must outlive a call in memory that C owns.
 */
#include <stdlib.h>
#include <string.h>
#include <vpx/vp8cx.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>
#include <vpx/vpx_encoder.h>

typedef struct {
	vpx_codec_ctx_t ctx;
	vpx_codec_enc_cfg_t cfg;
	vpx_image_t img;
	vpx_codec_pts_t pts;

	/* The result of the last encode, valid until the next. */
	const uint8_t *data;
	size_t size;
	int key;
} sky_vp8_encoder;

static inline vpx_codec_err_t sky_vp8_encoder_defaults(sky_vp8_encoder *e) {
	return vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &e->cfg, 0);
}

static inline vpx_codec_err_t sky_vp8_encoder_open(sky_vp8_encoder *e) {
	/* The planes are set for each picture; 1 only keeps vpx_img_wrap from allocating. */
	if (!vpx_img_wrap(&e->img, VPX_IMG_FMT_I420, e->cfg.g_w, e->cfg.g_h, 1, (unsigned char *)1))
		return VPX_CODEC_INVALID_PARAM;
	return vpx_codec_enc_init(&e->ctx, vpx_codec_vp8_cx(), &e->cfg, 0);
}

static inline vpx_codec_err_t sky_vp8_encoder_set(sky_vp8_encoder *e, int option, int value) {
	return vpx_codec_control_(&e->ctx, option, value);
}

static inline vpx_codec_err_t sky_vp8_encoder_reconfigure(sky_vp8_encoder *e) {
	return vpx_codec_enc_config_set(&e->ctx, &e->cfg);
}

static inline vpx_codec_err_t sky_vp8_encode(sky_vp8_encoder *e,
		uint8_t *y, uint8_t *u, uint8_t *v, int stride_y, int stride_uv, int key) {
	e->data = NULL;
	e->size = 0;
	e->key = 0;
	e->img.planes[VPX_PLANE_Y] = y;
	e->img.planes[VPX_PLANE_U] = u;
	e->img.planes[VPX_PLANE_V] = v;
	e->img.stride[VPX_PLANE_Y] = stride_y;
	e->img.stride[VPX_PLANE_U] = e->img.stride[VPX_PLANE_V] = stride_uv;
	vpx_codec_err_t status = vpx_codec_encode(&e->ctx, &e->img, e->pts++, 1,
			key ? VPX_EFLAG_FORCE_KF : 0, VPX_DL_REALTIME);
	memset(e->img.planes, 0, sizeof e->img.planes); /* they belong to Go */
	if (status != VPX_CODEC_OK)
		return status;
	vpx_codec_iter_t iter = NULL;
	const vpx_codec_cx_pkt_t *pkt;
	while ((pkt = vpx_codec_get_cx_data(&e->ctx, &iter)) != NULL) {
		if (pkt->kind == VPX_CODEC_CX_FRAME_PKT) {
			e->data = pkt->data.frame.buf;
			e->size = pkt->data.frame.sz;
			e->key = (pkt->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
		}
	}
	return VPX_CODEC_OK;
}

static inline void sky_vp8_encoder_free(sky_vp8_encoder *e) {
	vpx_codec_destroy(&e->ctx); /* refuses politely what was never opened */
	free(e);
}

typedef struct {
	vpx_codec_ctx_t ctx;
	vpx_image_t *img; /* the last picture, valid until the next decode */
} sky_vp8_decoder;

static inline vpx_codec_err_t sky_vp8_decoder_open(sky_vp8_decoder *d) {
	vpx_codec_dec_cfg_t cfg = {.threads = 1};
	return vpx_codec_dec_init(&d->ctx, vpx_codec_vp8_dx(), &cfg, 0);
}

static inline vpx_codec_err_t sky_vp8_decode(sky_vp8_decoder *d, const uint8_t *data, unsigned size) {
	d->img = NULL;
	vpx_codec_err_t status = vpx_codec_decode(&d->ctx, data, size, NULL, 0);
	if (status != VPX_CODEC_OK)
		return status;
	int corrupted = 0;
	status = vpx_codec_control_(&d->ctx, VP8D_GET_FRAME_CORRUPTED, &corrupted);
	if (status == VPX_CODEC_OK && corrupted)
		status = VPX_CODEC_CORRUPT_FRAME;
	vpx_codec_iter_t iter = NULL;
	vpx_image_t *img;
	while ((img = vpx_codec_get_frame(&d->ctx, &iter)) != NULL)
		d->img = img;
	return status;
}

static inline void sky_vp8_decoder_free(sky_vp8_decoder *d) {
	vpx_codec_destroy(&d->ctx);
	free(d);
}

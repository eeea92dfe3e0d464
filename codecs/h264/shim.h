/*
 * openh264 is a C++ library with a table of functions as its C interface, and
 * fills large structures. This header calls through the table and keeps the
 * structures in memory that C owns.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

typedef struct {
	ISVCEncoder *enc;
	SEncParamExt param;
	SSourcePicture pic;
	SFrameBSInfo out; /* the result of the last encode, valid until the next */
	long long frames;
} sky_h264_encoder;

static inline int sky_h264_encoder_create(sky_h264_encoder *e) {
	int status = WelsCreateSVCEncoder(&e->enc);
	if (status != cmResultSuccess)
		return status;
	int quiet = WELS_LOG_QUIET; /* it writes to stderr otherwise */
	(*e->enc)->SetOption(e->enc, ENCODER_OPTION_TRACE_LEVEL, &quiet);
	return (*e->enc)->GetDefaultParams(e->enc, &e->param);
}

static inline int sky_h264_encoder_open(sky_h264_encoder *e) {
	return (*e->enc)->InitializeExt(e->enc, &e->param);
}

static inline int sky_h264_encoder_set_bitrate(sky_h264_encoder *e, int bps) {
	SBitrateInfo info = {.iLayer = SPATIAL_LAYER_ALL, .iBitrate = bps};
	return (*e->enc)->SetOption(e->enc, ENCODER_OPTION_BITRATE, &info);
}

static inline int sky_h264_encode(sky_h264_encoder *e,
		unsigned char *y, unsigned char *u, unsigned char *v, int stride_y, int stride_uv, int key) {
	if (key) {
		int status = (*e->enc)->ForceIntraFrame(e->enc, true);
		if (status != cmResultSuccess)
			return status;
	}
	e->pic.iColorFormat = videoFormatI420;
	e->pic.iPicWidth = e->param.iPicWidth;
	e->pic.iPicHeight = e->param.iPicHeight;
	e->pic.iStride[0] = stride_y;
	e->pic.iStride[1] = e->pic.iStride[2] = stride_uv;
	e->pic.pData[0] = y;
	e->pic.pData[1] = u;
	e->pic.pData[2] = v;
	e->pic.uiTimeStamp = (long long)(e->frames++ * 1000 / e->param.fMaxFrameRate); /* ms */
	memset(&e->out, 0, sizeof e->out);
	int status = (*e->enc)->EncodeFrame(e->enc, &e->pic, &e->out);
	memset(e->pic.pData, 0, sizeof e->pic.pData); /* they belong to Go */
	return status;
}

static inline void sky_h264_encoder_free(sky_h264_encoder *e) {
	if (e->enc) {
		(*e->enc)->Uninitialize(e->enc);
		WelsDestroySVCEncoder(e->enc);
	}
	free(e);
}

typedef struct {
	ISVCDecoder *dec;
	unsigned char *planes[3]; /* of the last picture, valid until the next decode */
	SBufferInfo info;
} sky_h264_decoder;

static inline void sky_h264_decoder_close(sky_h264_decoder *d) {
	if (d->dec) {
		(*d->dec)->Uninitialize(d->dec);
		WelsDestroyDecoder(d->dec);
		d->dec = NULL;
	}
}

/* Opens the decoder, or replaces it by a new one that has seen nothing. */
static inline long sky_h264_decoder_open(sky_h264_decoder *d) {
	sky_h264_decoder_close(d);
	long status = WelsCreateDecoder(&d->dec);
	if (status != cmResultSuccess)
		return status;
	int quiet = WELS_LOG_QUIET;
	(*d->dec)->SetOption(d->dec, DECODER_OPTION_TRACE_LEVEL, &quiet);
	SDecodingParam param;
	memset(&param, 0, sizeof param);
	param.uiTargetDqLayer = UCHAR_MAX;
	param.eEcActiveIdc = ERROR_CON_DISABLE;
	param.sVideoProperty.size = sizeof param.sVideoProperty;
	param.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
	return (*d->dec)->Initialize(d->dec, &param);
}

static inline int sky_h264_decode(sky_h264_decoder *d, const unsigned char *data, int size) {
	memset(&d->info, 0, sizeof d->info);
	memset(d->planes, 0, sizeof d->planes);
	int status = (*d->dec)->DecodeFrameNoDelay(d->dec, data, size, d->planes, &d->info);
	/* Above Baseline it holds a picture back in case that a B picture follows;
	 * Go does not let one follow. */
	if (status == dsErrorFree && d->info.iBufferStatus == 0)
		status = (*d->dec)->FlushFrame(d->dec, d->planes, &d->info);
	return status;
}

static inline SSysMEMBuffer sky_h264_decoder_layout(sky_h264_decoder *d) {
	return d->info.UsrData.sSystemBuffer; /* cgo has no unions */
}

static inline void sky_h264_decoder_free(sky_h264_decoder *d) {
	sky_h264_decoder_close(d);
	free(d);
}

/* One step through a film: B pictures are wanted, so that what comes out may be
 * an earlier picture, or none yet. */
static inline int sky_h264_film_decode(sky_h264_decoder *d, const unsigned char *data, int size) {
	memset(&d->info, 0, sizeof d->info);
	memset(d->planes, 0, sizeof d->planes);
	return (*d->dec)->DecodeFrameNoDelay(d->dec, data, size, d->planes, &d->info);
}

/* The next of the pictures that wait for their turn, when nothing follows. */
static inline int sky_h264_film_flush(sky_h264_decoder *d) {
	int waiting = 0;
	(*d->dec)->GetOption(d->dec, DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER, &waiting);
	memset(&d->info, 0, sizeof d->info);
	memset(d->planes, 0, sizeof d->planes);
	return waiting > 0 ? (*d->dec)->FlushFrame(d->dec, d->planes, &d->info) : dsErrorFree;
}

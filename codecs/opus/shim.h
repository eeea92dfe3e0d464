/* cgo cannot call variadic functions; this header gives each ctl a name. */
#include <opus.h>

static inline int sky_opus_set_bitrate(OpusEncoder *e, int bps) {
	return opus_encoder_ctl(e, OPUS_SET_BITRATE(bps));
}

static inline int sky_opus_set_complexity(OpusEncoder *e, int complexity) {
	return opus_encoder_ctl(e, OPUS_SET_COMPLEXITY(complexity));
}

static inline int sky_opus_set_fec(OpusEncoder *e, int on) {
	return opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(on));
}

static inline int sky_opus_set_loss(OpusEncoder *e, int percent) {
	return opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(percent));
}

static inline int sky_opus_set_dtx(OpusEncoder *e, int on) {
	return opus_encoder_ctl(e, OPUS_SET_DTX(on));
}

static inline int sky_opus_set_prediction(OpusEncoder *e, int on) {
	return opus_encoder_ctl(e, OPUS_SET_PREDICTION_DISABLED(!on));
}

static inline int sky_opus_reset(OpusDecoder *d) {
	return opus_decoder_ctl(d, OPUS_RESET_STATE);
}

/*
 * libyuv reduces fast by a few ratios only: 1/4, 1/2, 3/4, and less exactly 3/8.
 * Any other goes pixel by pixel, which costs nearly as much as encoding the
 * result. This does any ratio with vectors, and weighs every pixel by the part
 * of it that a pixel of the result covers.
 */
#include "shim.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

/* A row's memory and tables are on the stack, which bounds the width. */
enum { MAX_WIDTH = 4096, MIN_WIDTH = 32, MAX_RATIO = 64, MAX_PAIRS = MAX_RATIO / 2 + 1 };

/*
 * How pixels of the result follow from a row. Each is a sum of 4 neighbours with
 * weights of 256 in all; a group is 4 of them. Before that the row is halved,
 * until 4 neighbours are enough.
 */
typedef struct {
	int width, halvings, groups;
	int first[MAX_WIDTH / 4];        /* a group's neighbours are among the 16 from here on */
	uint8_t from[MAX_WIDTH / 4][16]; /* counted from the first */
	uint8_t weight[MAX_WIDTH / 4][16];
} columns;

/* Weights from start on, in units of which a pixel has `unit` and the sum has
 * `length`. Returns how many there are; they add up to 256. */
static int weigh(int *weight, int max, int64_t start, int64_t unit, int64_t length) {
	float scale = 256.0f / (float)length;
	int64_t edge = unit - start;
	int n = 0, sum = 0;
	for (; n < max && sum < 256; n++, edge += unit) {
		int upto = edge >= length ? 256 : (int)((float)edge * scale + 0.5f);
		weight[n] = upto - sum;
		sum = upto;
	}
	return n;
}

static void plan(columns *c, int from, int to) {
	int64_t unit = to;
	c->width = to;
	c->halvings = 0;
	for (; (int64_t)from * 16 > unit * 49; unit *= 2) /* 49/16 pixels: a fifth would hardly count */
		c->halvings++;
	c->groups = (to + 15) / 16 * 4;
	memset(c->from, 0, sizeof c->from[0] * (size_t)c->groups);
	memset(c->weight, 0, sizeof c->weight[0] * (size_t)c->groups);
	int64_t start = 0; /* within pixel `at` */
	int at = 0;
	for (int x = 0; x < to; x++) {
		int w[5] = {0}, *used = w, i = at;
		weigh(w, 5, start, unit, from);
		if (w[4] > w[0]) {
			w[1] += w[0];
			used++;
			i++;
		} else {
			w[3] += w[4];
		}
		int group = x / 4;
		if (x % 4 == 0)
			c->first[group] = i;
		for (int t = 0; t < 4; t++) {
			int slot = x % 4 * 4 + t;
			c->from[group][slot] = (uint8_t)(i - c->first[group] + t);
			c->weight[group][slot] = (uint8_t)used[t];
			if (used[t] == 256) { /* does not fit into a byte, but is the only one */
				memset(&c->from[group][slot - t], i - c->first[group] + t, 4);
				memset(&c->weight[group][slot - t], 64, 4);
				break;
			}
		}
		for (start += from; start >= unit; start -= unit)
			at++;
	}
	for (int group = (to + 3) / 4; group < c->groups; group++)
		c->first[group] = c->first[group - 1];
}

/* Pixels are signed below, so that 256 times one fits into 16 bits. */
#define AVX2 __attribute__((target("avx2")))
#define FLIP ((char)0x80)

/* The weighted sum of 32 pixels each of some rows. */
AVX2 static inline __attribute__((always_inline)) void
blend32(uint8_t *out, const uint8_t *const *rows, const __m256i *weight, int pairs, int x) {
	const __m256i flip = _mm256_set1_epi8(FLIP);
	__m256i lo = _mm256_set1_epi16(128), hi = lo;
	for (int p = 0; p < pairs; p++) {
		__m256i a = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(rows[2 * p] + x)), flip);
		__m256i b = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(rows[2 * p + 1] + x)), flip);
		lo = _mm256_add_epi16(lo, _mm256_maddubs_epi16(weight[p], _mm256_unpacklo_epi8(a, b)));
		hi = _mm256_add_epi16(hi, _mm256_maddubs_epi16(weight[p], _mm256_unpackhi_epi8(a, b)));
	}
	_mm256_storeu_si256((__m256i *)(out + x),
			_mm256_packs_epi16(_mm256_srai_epi16(lo, 8), _mm256_srai_epi16(hi, 8)));
}

AVX2 static inline __attribute__((always_inline)) void
blend(uint8_t *out, const uint8_t *const *rows, const __m256i *weight, int pairs, int width) {
	for (int x = 0; x + 32 <= width; x += 32)
		blend32(out, rows, weight, pairs, x);
	if (width % 32 != 0)
		blend32(out, rows, weight, pairs, width - 32);
}

/* Row y of `to` rows out of a plane, signed. */
AVX2 static void blend_rows(uint8_t *out, const uint8_t *src, int stride, int width, int from, int to, int y) {
	int weight[MAX_RATIO + 2];
	const uint8_t *rows[2 * MAX_PAIRS];
	__m256i weights[MAX_PAIRS];
	int64_t start = (int64_t)y * from;
	int first = (int)(start / to);
	int n = weigh(weight, MAX_RATIO + 1, start % to, to, from);
	if (weight[n - 1] == 256) { /* does not fit into a byte; all before it are zero */
		first += n - 1;
		n = 2;
		weight[0] = weight[1] = 128;
		rows[0] = rows[1] = src + (int64_t)first * stride;
	} else {
		for (int i = 0; i < n; i++)
			rows[i] = src + (int64_t)(first + i) * stride;
		if (n % 2 != 0) {
			weight[n] = 0;
			rows[n] = rows[n - 1];
			n++;
		}
	}
	int pairs = n / 2;
	for (int p = 0; p < pairs; p++)
		weights[p] = _mm256_set1_epi16((short)(weight[2 * p + 1] << 8 | weight[2 * p]));
	switch (pairs) {
	case 1:
		blend(out, rows, weights, 1, width);
		break;
	case 2:
		blend(out, rows, weights, 2, width);
		break;
	default:
		blend(out, rows, weights, pairs, width);
	}
}

/* Averages neighbours in place; row has 32 bytes more than its width. Halves are
 * rounded up and down by turns, so that they cancel out in what follows. */
AVX2 static int halve(uint8_t *row, int width) {
	const __m256i one = _mm256_set1_epi8(1), round = _mm256_set1_epi32(1);
	memset(row + width, row[width - 1], 32);
	for (int x = 0; x < width; x += 32) {
		__m256i v = _mm256_maddubs_epi16(one, _mm256_loadu_si256((const __m256i *)(row + x)));
		v = _mm256_srai_epi16(_mm256_add_epi16(v, round), 1);
		_mm_storeu_si128((__m128i *)(row + x / 2),
				_mm_packs_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
	}
	return (width + 1) / 2;
}

AVX2 static inline __m256i load_groups(const uint8_t *row, const columns *c, int a, int b) {
	__m256i pixels = _mm256_set_m128i(
			_mm_loadu_si128((const __m128i *)(row + c->first[b])), _mm_loadu_si128((const __m128i *)(row + c->first[a])));
	__m256i from = _mm256_set_m128i(
			_mm_loadu_si128((const __m128i *)c->from[b]), _mm_loadu_si128((const __m128i *)c->from[a]));
	__m256i weight = _mm256_set_m128i(
			_mm_loadu_si128((const __m128i *)c->weight[b]), _mm_loadu_si128((const __m128i *)c->weight[a]));
	return _mm256_maddubs_epi16(weight, _mm256_shuffle_epi8(pixels, from));
}

AVX2 static void blend_columns(uint8_t *dst, uint8_t *row, int width, const columns *c) {
	for (int i = 0; i < c->halvings; i++)
		width = halve(row, width);
	memset(row + width, row[width - 1], 32);
	for (int g = 0; g < c->groups; g += 4) {
		__m256i v = _mm256_hadd_epi16(load_groups(row, c, g, g + 2), load_groups(row, c, g + 1, g + 3));
		v = _mm256_srai_epi16(_mm256_add_epi16(v, _mm256_set1_epi16(128)), 8);
		__m128i out = _mm_xor_si128(
				_mm_packs_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)), _mm_set1_epi8(FLIP));
		if (4 * g + 16 <= c->width) {
			_mm_storeu_si128((__m128i *)(dst + 4 * g), out);
		} else {
			uint8_t last[16];
			_mm_storeu_si128((__m128i *)last, out);
			memcpy(dst + 4 * g, last, (size_t)(c->width - 4 * g));
		}
	}
}

static void reduce(const uint8_t *src, int src_stride, int src_width, int src_height,
		uint8_t *dst, int dst_stride, int dst_height, const columns *c) {
	uint8_t row[MAX_WIDTH + 32];
	for (int y = 0; y < dst_height; y++) {
		blend_rows(row, src, src_stride, src_width, src_height, dst_height, y);
		blend_columns(dst + (int64_t)y * dst_stride, row, src_width, c);
	}
}

static int libyuv_is_fast(const sky_yuv_picture *src, const sky_yuv_picture *dst) {
	for (int n = 1; n <= 3; n++)
		if (dst->width * 4 == src->width * n && dst->height * 4 == src->height * n)
			return 1;
	return 0;
}

static int reducible(const sky_yuv_picture *src, const sky_yuv_picture *dst) {
	return __builtin_cpu_supports("avx2") && !libyuv_is_fast(src, dst) &&
		src->width / 2 >= MIN_WIDTH && src->width <= MAX_WIDTH &&
		dst->width <= src->width && src->width <= MAX_RATIO * dst->width &&
		dst->height <= src->height && src->height <= MAX_RATIO * dst->height;
}

static void reduce_all(const sky_yuv_picture *src, const sky_yuv_picture *dst) {
	columns c;
	plan(&c, src->width, dst->width);
	reduce(src->y, src->stride_y, src->width, src->height, dst->y, dst->stride_y, dst->height, &c);
	plan(&c, src->width / 2, dst->width / 2);
	reduce(src->u, src->stride_uv, src->width / 2, src->height / 2, dst->u, dst->stride_uv, dst->height / 2, &c);
	reduce(src->v, src->stride_uv, src->width / 2, src->height / 2, dst->v, dst->stride_uv, dst->height / 2, &c);
}
#else
static int reducible(const sky_yuv_picture *src, const sky_yuv_picture *dst) { return 0; }
static void reduce_all(const sky_yuv_picture *src, const sky_yuv_picture *dst) {}
#endif

int sky_yuv_scale(
		uint8_t *src_y, uint8_t *src_u, uint8_t *src_v, int src_stride_y, int src_stride_uv, int src_width, int src_height,
		uint8_t *dst_y, uint8_t *dst_u, uint8_t *dst_v, int dst_stride_y, int dst_stride_uv, int dst_width, int dst_height) {
	sky_yuv_picture src = {src_y, src_u, src_v, src_stride_y, src_stride_uv, src_width, src_height};
	sky_yuv_picture dst = {dst_y, dst_u, dst_v, dst_stride_y, dst_stride_uv, dst_width, dst_height};
	if (reducible(&src, &dst)) {
		reduce_all(&src, &dst);
		return 0;
	}
	return I420Scale(src_y, src_stride_y, src_u, src_stride_uv, src_v, src_stride_uv, src_width, src_height,
			dst_y, dst_stride_y, dst_u, dst_stride_uv, dst_v, dst_stride_uv, dst_width, dst_height, kFilterBox);
}

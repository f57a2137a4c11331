// Sixteen lanes: one small vector layer under every kernel, so that one source gives the AVX-512, AVX2 and plain paths.
//
// The vectors are GCC's own (vector_size): element-wise arithmetic lowers to whatever the target has (NEON included),
// with the same IEEE result on each. Only three things need instructions by name: fused multiply-add, the byte
// dot product and the 16-bit multiply-add. Sums across lanes have one fixed tree.
// Included once per instruction level inside its own namespace; compiled with -ffp-contract=off, so nothing fuses unasked.
#include <math.h>
#include <string.h>

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint8_t u8x64 __attribute__((vector_size(64)));
typedef int8_t s8x16 __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))

INLINE f32x16 load(const float *p) { f32x16 v; memcpy(&v, p, 64); return v; }
INLINE u8x64 load_bytes(const void *p) { u8x64 v; memcpy(&v, p, 64); return v; }
INLINE void store(float *p, f32x16 v) { memcpy(p, &v, 64); }
// Written out, for a scalar added to a zero vector stays an addition (of -0 it would make +0) in every inner loop.
INLINE f32x16 splat(float x) { return f32x16{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE i32x16 splat_int(int32_t x) { return i32x16{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE f32x16 to_float(i32x16 v) { return __builtin_convertvector(v, f32x16); }
INLINE f32x16 select(i32x16 mask, f32x16 a, f32x16 b) { return mask ? a : b; }
INLINE f32x16 maximum(f32x16 a, f32x16 b) { // a > b ? a : b, so a NaN in b stays
#if defined(__AVX512F__)
  return (f32x16)_mm512_max_ps((__m512)a, (__m512)b);
#else
  return select(a > b, a, b);
#endif
}
INLINE f32x16 minimum(f32x16 a, f32x16 b) { // a < b ? a : b
#if defined(__AVX512F__)
  return (f32x16)_mm512_min_ps((__m512)a, (__m512)b);
#else
  return select(a < b, a, b);
#endif
}
INLINE f32x16 magnitude(f32x16 v) { return (f32x16)((i32x16)v & 0x7fffffff); }
// Round to nearest even for |v| < 2^22.
INLINE f32x16 nearest(f32x16 v) { return (v + 12582912.0f) - 12582912.0f; }

// The same as a whole number, for |v| < 2^22.
INLINE i32x16 nearest_int(f32x16 v) {
#if defined(__AVX512F__)
  return (i32x16)_mm512_cvtps_epi32((__m512)v);
#else
  return __builtin_convertvector(nearest(v), i32x16);
#endif
}

// Sums and maxima across lanes: always the tree 8-4-2-1, so that every path rounds alike.
#if defined(__AVX512F__)
#define LANE_TREE(name, op256, op128)                                                                                  \
  INLINE float name(f32x16 v) {                                                                                        \
    __m256 a = op256(_mm512_castps512_ps256((__m512)v),                                                                \
                     _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)v), 1)));                        \
    __m128 b = op128(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));                                          \
    b = op128(b, _mm_movehl_ps(b, b));                                                                                 \
    return _mm_cvtss_f32(op128(b, _mm_movehdup_ps(b)));                                                                \
  }
LANE_TREE(sum_lanes, _mm256_add_ps, _mm_add_ps)
LANE_TREE(max_lanes, _mm256_max_ps, _mm_max_ps)
#else
INLINE float sum_lanes(f32x16 v) {
  float a[16];
  store(a, v);
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; i++) a[i] = a[i] + a[i + half];
  return a[0];
}

INLINE float max_lanes(f32x16 v) {
  float a[16];
  store(a, v);
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; i++) a[i] = a[i] > a[i + half] ? a[i] : a[i + half];
  return a[0];
}
#endif

INLINE int32_t max_ints(i32x16 v) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_epi32((__m512i)v);
#else
  int32_t most = v[0];
  for (int i = 1; i < 16; i++) most = v[i] > most ? v[i] : most;
  return most;
#endif
}

INLINE int32_t sum_ints(i32x16 v) { // exact in any order
#if defined(__AVX512F__)
  return _mm512_reduce_add_epi32((__m512i)v);
#else
  int32_t sum = 0;
  for (int i = 0; i < 16; i++) sum += v[i];
  return sum;
#endif
}

INLINE f32x16 fma16(f32x16 a, f32x16 b, f32x16 c) {
#if defined(__AVX512F__)
  return (f32x16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  f32x16 out;
  for (int h = 0; h < 2; h++) {
    __m256 x, y, z;
    memcpy(&x, (char *)&a + 32 * h, 32), memcpy(&y, (char *)&b + 32 * h, 32), memcpy(&z, (char *)&c + 32 * h, 32);
    z = _mm256_fmadd_ps(x, y, z);
    memcpy((char *)&out + 32 * h, &z, 32);
  }
  return out;
#else
  for (int i = 0; i < 16; i++) c[i] = fmaf(a[i], b[i], c[i]);
  return c;
#endif
}

// e^x for x <= 88.7, relative error below 2e-7; 0 below -87.3; NaN stays NaN.
INLINE f32x16 exp16(f32x16 x) {
  const f32x16 low = splat(-87.33654f), high = splat(88.72283f);
  i32x16 underflow = x < low;
  x = select(x < low, low, x);
  x = select(x > high, high, x);
  f32x16 n = nearest(x * 1.44269504f);
  n = select(n > splat(127.0f), splat(127.0f), n);
  f32x16 r = fma16(n, splat(-0.693359375f), x);
  r = fma16(n, splat(2.12194440e-4f), r);
  f32x16 p = splat(1.9875691500e-4f); // Cephes expf
  p = fma16(p, r, splat(1.3981999507e-3f));
  p = fma16(p, r, splat(8.3334519073e-3f));
  p = fma16(p, r, splat(4.1665795894e-2f));
  p = fma16(p, r, splat(1.6666665459e-1f));
  p = fma16(p, r, splat(5.0000001201e-1f));
  p = fma16(p, r * r, r + 1.0f);
  i32x16 whole = __builtin_convertvector(select(n == n, n, splat(0.0f)), i32x16);
  f32x16 power = (f32x16)((whole + 127) << 23);
  return select(underflow, splat(0.0f), p * power);
}

static const float LOG2_E = 1.44269504f;

// 2^x for x <= 0 (NaN stays NaN), relative error below 3e-6, exact at 0; 2^-126 from there down.
INLINE f32x16 exp2_down16(f32x16 x) {
  x = maximum(splat(-126.0f), x);
  const f32x16 n = nearest(x), r = x - n;
  f32x16 p = splat(9.58285e-3f);
  p = fma16(p, r, splat(5.590643e-2f));
  p = fma16(p, r, splat(0.24024099f));
  p = fma16(p, r, splat(0.69312419f));
  p = fma16(p, r, splat(1.0f));
#if defined(__AVX512F__)
  return (f32x16)_mm512_scalef_ps((__m512)p, (__m512)n); // p * 2^n is never below 2^-126, so the same bits
#else
  return (f32x16)((i32x16)p + (__builtin_convertvector(n, i32x16) << 23));
#endif
}

// 1 / (1 + e^-a) - 1/2 for a >= 0: row i of coefficients by column j = 2a rounded, of (a - j/2)^i. Through the five Chebyshev
// points of each interval; 1/2 itself from 15.25 on.
alignas(64) static const float kSigmoid[5][32] = {
    {0.0f, 0.12245933f, 0.231058583f, 0.317574471f, 0.380797088f, 0.424141824f, 0.452574134f, 0.470687777f, 0.482013792f,
     0.489013046f, 0.493307143f, 0.495929867f, 0.497527391f, 0.498498827f, 0.499088943f, 0.499447227f, 0.499664664f,
     0.499796569f, 0.499876618f, 0.499925166f, 0.499954611f, 0.499972463f, 0.499983311f, 0.499989867f, 0.499993861f,
     0.499996275f, 0.499997735f, 0.499998629f, 0.499999166f, 0.499999493f, 0.499999702f, 0.5f},
    {0.249997482f, 0.235002339f, 0.196612448f, 0.14914766f, 0.104994468f, 0.0701040849f, 0.0451767109f, 0.0284529533f,
     0.0176626146f, 0.010866154f, 0.00664800219f, 0.00405353541f, 0.00246648607f, 0.00149891409f, 0.000910212169f,
     0.000552467536f, 0.000335234276f, 0.000203383534f, 0.000123378093f, 7.4839867e-05f, 4.53953471e-05f, 2.7534652e-05f,
     1.6700973e-05f, 1.01297856e-05f, 6.14407418e-06f, 3.72658747e-06f, 2.26029624e-06f, 1.37094139e-06f, 8.31518889e-07f,
     5.0434204e-07f, 3.05899022e-07f, 0.0f},
    {0.0f, -0.0287777409f, -0.0454283953f, -0.0473650955f, -0.0399814285f, -0.029734062f, -0.0204458553f, -0.013392509f,
     -0.00851366669f, -0.00531372102f, -0.00327952695f, -0.00201028213f, -0.0012271523f, -0.00074721186f, -0.000454279885f,
     -0.000275930244f, -0.000167505859f, -0.00010165108f, -6.167424e-05f, -3.74145857e-05f, -2.26957654e-05f,
     -1.37666611e-05f, -8.35026458e-06f, -5.06482456e-06f, -3.07202026e-06f, -1.86329248e-06f, -1.13015062e-06f,
     -6.85473481e-07f, -4.15761576e-07f, -2.5217247e-07f, -1.52950449e-07f, 0.0f},
    {-0.0206715968f, -0.0159714483f, -0.00592028536f, 0.00253532082f, 0.00641879765f, 0.00674590282f, 0.00548519054f,
     0.00393707072f, 0.00263763708f, 0.00169782992f, 0.00106730219f, 0.000661489205f, 0.000406491046f, 0.000248508091f,
     0.000151452274f, 9.21278552e-05f, 5.59769323e-05f, 3.39880316e-05f, 2.06281475e-05f, 1.25165234e-05f, 7.5934654e-06f,
     4.60633555e-06f, 2.7941287e-06f, 1.69481484e-06f, 1.02799038e-06f, 6.23519895e-07f, 3.78188417e-07f, 2.29384511e-07f,
     1.39129341e-07f, 8.43864356e-08f, 5.11830471e-08f, 0.0f},
    {0.0f, 0.00432276633f, 0.00511544151f, 0.00311653735f, 0.000877487706f, -0.000384104351f, -0.000775803637f,
     -0.000733767461f, -0.00055919087f, -0.000385519321f, -0.000251930731f, -0.000159707852f, -9.94638031e-05f,
     -6.12956428e-05f, -3.75365962e-05f, -2.28997778e-05f, -1.39383719e-05f, -8.47209139e-06f, -5.14522799e-06f,
     -3.12318434e-06f, -1.89520733e-06f, -1.14983254e-06f, -6.97530595e-07f, -4.23118507e-07f, -2.56650821e-07f,
     -1.55672652e-07f, -9.44225036e-08f, -5.72709666e-08f, -3.47369031e-08f, -2.10690843e-08f, -1.27790871e-08f, 0.0f},
};

// kSigmoid[row][j] by the last five bits of `at`.
INLINE f32x16 sigmoid_part(int row, i32x16 at) {
#if defined(__AVX512F__)
  const float *const p = kSigmoid[row];
  return (f32x16)_mm512_permutex2var_ps(_mm512_load_ps(p), (__m512i)at, _mm512_load_ps(p + 16));
#else
  f32x16 out;
  for (int i = 0; i < 16; i++) out[i] = kSigmoid[row][at[i] & 31];
  return out;
#endif
}

// x / (1 + e^-x), within 2.5e-7 |x| (NaN stays NaN): x / 2 + |x| times an odd function's size, for which 32 polynomials take
// half of the instructions of an exponential and a quotient. The products beside which it runs leave one vector port free.
INLINE f32x16 silu16(f32x16 x) {
  const f32x16 size = magnitude(x), a = minimum(splat(15.5f), size);
  const f32x16 at = a + splat(4194304.0f), r = a - (at - splat(4194304.0f)); // 2^22: floats there lie 1/2 apart
  const i32x16 column = (i32x16)at;
  f32x16 p = sigmoid_part(4, column);
#pragma GCC unroll 4
  for (int i = 3; i >= 0; i--) p = fma16(p, r, sigmoid_part(i, column));
  return fma16(size, p, x * 0.5f);
}

INLINE f32x16 load_bf16(const uint16_t *p) {
  typedef uint16_t u16x16 __attribute__((vector_size(32)));
  u16x16 h;
  memcpy(&h, p, 32);
  return (f32x16)(__builtin_convertvector(h, i32x16) << 16);
}

// 16 signed bytes and lanes, by name where there is an instruction: GCC 12 takes its own conversion apart.
INLINE i32x16 load_small(const void *p) {
#if defined(__AVX512F__)
  return (i32x16)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif defined(__AVX2__)
  i32x16 out;
  for (int h = 0; h < 2; h++) {
    const __m256i half = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)((const char *)p + 8 * h)));
    memcpy((char *)&out + 32 * h, &half, 32);
  }
  return out;
#else
  s8x16 v;
  memcpy(&v, p, 16);
  return __builtin_convertvector(v, i32x16);
#endif
}

INLINE void store_small(int8_t *p, i32x16 v) { // whole numbers that fit
#if defined(__AVX512F__)
  _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
#else
  const s8x16 bytes = __builtin_convertvector(v, s8x16);
  memcpy(p, &bytes, 16);
#endif
}

// 64 columns of them.
INLINE void store_small(int8_t *p, const i32x16 (&v)[4]) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_packs_epi32((__m512i)v[0], (__m512i)v[1]), high = _mm512_packs_epi32((__m512i)v[2], (__m512i)v[3]);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high)));
#else
  for (int i = 0; i < 4; i++) store_small(p + 16 * i, v[i]);
#endif
}

// The low halves of the lanes.
INLINE void store_low(uint16_t *p, i32x16 v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16((__m512i)v));
#else
  for (int i = 0; i < 16; i++) p[i] = (uint16_t)v[i];
#endif
}

INLINE f32x16 load_int8(const int8_t *p) { return to_float(load_small(p)); }

// acc[lane] += sum of the lane's four unsigned bytes of w times the four signed bytes of `four`. `SMALL`: every byte of
// w is below 16, so that a pair of products cannot saturate 16 bits on AVX2.
template <bool SMALL> INLINE i32x16 dot4(i32x16 acc, u8x64 w, int32_t four) {
#if defined(__AVX512VNNI__)
  return (i32x16)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, _mm512_set1_epi32(four));
#elif defined(__AVX2__)
  __m256i a = _mm256_set1_epi32(four), ones = _mm256_set1_epi16(1);
  for (int h = 0; h < 2; h++) {
    __m256i x, s;
    memcpy(&x, (char *)&w + 32 * h, 32), memcpy(&s, (char *)&acc + 32 * h, 32);
    if (SMALL) {
      s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(x, a), ones));
    } else {
      __m256i even = _mm256_and_si256(x, _mm256_set1_epi16(255)), odd = _mm256_srli_epi16(x, 8);
      __m256i a_even = _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8), a_odd = _mm256_srai_epi16(a, 8);
      s = _mm256_add_epi32(s, _mm256_madd_epi16(even, a_even));
      s = _mm256_add_epi32(s, _mm256_madd_epi16(odd, a_odd));
    }
    memcpy((char *)&acc + 32 * h, &s, 32);
  }
  return acc;
#else
  int8_t a[4];
  memcpy(a, &four, 4);
  for (int lane = 0; lane < 16; lane++)
    for (int i = 0; i < 4; i++) acc[lane] += (int32_t)w[4 * lane + i] * a[i];
  return acc;
#endif
}

// sum + part * factor, both signed 16-bit numbers; the upper half of each lane of `factor` is zero.
INLINE i32x16 multiply_add(i32x16 sum, i32x16 part, i32x16 factor) {
#if defined(__AVX512VNNI__)
  return (i32x16)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)part, (__m512i)factor);
#elif defined(__AVX2__)
  for (int h = 0; h < 2; h++) {
    __m256i p, f, s;
    memcpy(&p, (char *)&part + 32 * h, 32), memcpy(&f, (char *)&factor + 32 * h, 32);
    memcpy(&s, (char *)&sum + 32 * h, 32);
    s = _mm256_add_epi32(s, _mm256_madd_epi16(p, f));
    memcpy((char *)&sum + 32 * h, &s, 32);
  }
  return sum;
#else
  return sum + part * (factor << 16 >> 16);
#endif
}

INLINE i32x16 load_words(const void *p) { i32x16 v; memcpy(&v, p, 64); return v; }

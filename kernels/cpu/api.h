// The C interface of the CPU core: what Python sees through ctypes (npc/inference/kernels.py mirrors these structs).
//
// One call runs one step of the whole model: a batch of rows (tokens of any sequences, decode and prefill mixed) through
// all layers, paged attention and the vocabulary head. Nothing here allocates after npc_create.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Weight formats. Rows come in tiles of 16, columns in blocks that share a scale: see formats.h.
enum { NPC_F32 = 0, NPC_BF16 = 1, NPC_INT8 = 2, NPC_INT4 = 3, NPC_TERNARY = 4 };
// Cache formats.
enum { NPC_KV_F32 = 0, NPC_KV_BF16 = 1, NPC_KV_INT8 = 2 };
// Instruction levels, each with every level below it.
enum { NPC_PLAIN = 0, NPC_AVX2 = 1, NPC_AVX512 = 2, NPC_AMX = 3 };

typedef struct {
  int32_t format;      // NPC_F32 ...
  int32_t rows, cols;  // padded: rows to 16, cols to 32
  const uint8_t *data; // packed, 64-byte aligned
  const float *bias;   // rows values, or null
} NpcMatrix;

// A low-rank addition of one matrix: y += b (a x). Null where the adapter leaves the matrix alone.
typedef struct {
  const float *a; // rank x cols
  const float *b; // rank x rows (padded), scaled
} NpcLowRank;

enum { NPC_QKV = 0, NPC_O = 1, NPC_GATE = 2, NPC_UP = 3, NPC_DOWN = 4, NPC_ADAPTED = 5 };

typedef struct {
  int32_t rank;            // at most NPC_MAX_RANK; 0 = none
  const NpcLowRank *parts; // layers x NPC_ADAPTED
} NpcAdapter;
enum { NPC_MAX_RANK = 192 }; // query, key and value adapters are stacked

typedef struct {
  const float *attention_norm, *mlp_norm; // hidden
  const float *q_norm, *k_norm;           // head_dim, or null
  NpcMatrix qkv, o, gate, up, down;       // qkv rows: all query heads, key heads, value heads, each head_pad high
  int32_t window;                         // keys a token sees including itself; 0 = all
} NpcLayer;

typedef struct {
  int32_t hidden, inter, layers, heads, kv_heads, head_dim, head_pad, vocab, positions, cache;
  float eps, attention_scale;
  const float *rope; // positions x head_dim: cosines then sines of the head_dim / 2 pairs
  const NpcLayer *layer;
  NpcMatrix embedding, head; // the same data when tied
  const float *final_norm;
} NpcModel;

typedef struct {
  int32_t rows;
  const int32_t *token, *position, *sequence; // per row; rows of one sequence are adjacent, positions rising by one
  int32_t sequences, table_width;
  const int32_t *tables; // sequences x table_width page numbers
  int32_t outputs;
  const int32_t *output_rows;
  float *logits; // outputs x padded vocabulary; may be null when outputs is 0
  const float *const *steer; // per row: layers x hidden added after each layer, or null; the array may be null
  const float *steer_scale;  // per row
  const NpcAdapter *const *adapter; // per row, or null; the array may be null
  float *taps;                      // layers x rows x hidden: the residual stream after each layer, or null
  float *last;                      // rows x hidden: the normalised last hidden state, or null
  uint8_t *pool;
  int32_t pages;
  int32_t yields; // whether the step may be given up: see npc_yield
} NpcBatch;

// One sequence's tokens through the recurrence of one state-space layer: see scan.inc.
typedef struct {
  int32_t tokens, heads, head_dim, width, groups; // width: of the state, a multiple of 16
  const float *x, *dt, *decay;                    // tokens x heads x head_dim; tokens x heads, twice
  const float *b, *c;                             // tokens x groups x width
  const float *skip;                              // heads
  float *state;                                   // heads x head_dim x width, changed
  float *y;                                       // tokens x heads x head_dim
} NpcScan;

// A BERT encoder. Linear weights are row-major [inputs][outputs]; npc_encoder_create packs them and keeps no pointer to them.
typedef struct {
  const float *qkv, *qkv_bias, *out, *out_bias, *norm1_gain, *norm1_bias;
  const float *up, *up_bias, *down, *down_bias, *norm2_gain, *norm2_bias;
} NpcEncoderLayer;

typedef struct {
  int32_t width, heads, inner, layers, vocab, positions, types; // width and inner multiples of 32, a head of 16
  float eps;
  const float *words, *places, *kinds; // vocab x width, positions x width, types x width; the caller keeps them
  const float *norm_gain, *norm_bias;
  const NpcEncoderLayer *layer;
} NpcEncoderModel;

typedef struct NpcEncoder NpcEncoder;
typedef struct NpcContext NpcContext;

#define NPC_API __attribute__((visibility("default")))

NPC_API int npc_level(void);                                                  // best level of this machine
NPC_API int64_t npc_page_bytes(const NpcModel *model);                        // bytes of one cache page
NPC_API int64_t npc_matrix_bytes(int32_t format, int32_t rows, int32_t cols); // packed bytes; rows, cols already padded
// Quantise and pack row-major float weights; `importance` (cols values, or null) weighs the squared error per column.
// Returns 0, or -1 when a weight is not finite.
NPC_API int npc_pack(int32_t format, int32_t rows, int32_t cols, const float *weights, const float *importance, uint8_t *packed);
NPC_API void npc_unpack(const NpcMatrix *matrix, int32_t row, float *values); // one row back, dequantised
// y[m][n] = W x: the linear kernels alone, for tests and measurements.
NPC_API int npc_linear(const NpcMatrix *matrix, const float *x, int32_t m, float *y, int32_t level);
NPC_API int npc_scan(const NpcScan *scan, int32_t level);
NPC_API NpcContext *npc_create(const NpcModel *model, int32_t threads, int32_t max_rows, int32_t level);
NPC_API void npc_destroy(NpcContext *context);
enum { NPC_GIVEN_UP = 1 };
// 0, NPC_GIVEN_UP, or a negative error (npc_error says it in words).
NPC_API int npc_forward(NpcContext *context, const NpcBatch *batch);
// From any thread: while `wanted`, a step whose batch `yields` is given up where its next phase ends. It wrote nothing but
// keys and values of its own rows, which the same step will write again.
NPC_API void npc_yield(NpcContext *context, int32_t wanted);
// Null for shapes or a level it does not take, and for weights that are not finite.
NPC_API NpcEncoder *npc_encoder_create(const NpcEncoderModel *model, int32_t level);
NPC_API void npc_encoder_destroy(NpcEncoder *encoder);
// States (all tokens x width) of texts whose tokens lie end to end, each attending to itself alone; types may be null (all 0).
// From any thread, several at once. 0, or a negative error.
NPC_API int npc_encode(NpcEncoder *encoder, int32_t texts, const int32_t *lengths, const int32_t *tokens, const int32_t *types,
                       float *states);
NPC_API const char *npc_error(int code);
NPC_API double npc_read_bandwidth(const uint8_t *data, int64_t bytes, int32_t threads, int32_t repeats); // GB/s
NPC_API int npc_amx_config_survives(void); // 1: the tile configuration reaches the unit whole; 0: miscompiled; -1: no AMX

#ifdef __cplusplus
}
#endif

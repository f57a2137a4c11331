// The C interface: what this machine can do, contexts, checks of a batch. The work itself is in the levels.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "context.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace {
#include "lanes.h"

#if defined(__x86_64__)
bool amx_permitted() {
  // Linux hands out the tile state on request only (arch_prctl ARCH_REQ_XCOMP_PERM, feature 18: tile data).
  return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

int detect() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return NPC_PLAIN; // OSXSAVE
  const bool fma = c >> 12 & 1, f16c = c >> 29 & 1;
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return NPC_PLAIN;
  const bool avx2 = b >> 5 & 1;
  if (!(avx2 && fma && f16c)) return NPC_PLAIN;
  const bool wide = (low & 0xe0) == 0xe0;
  const bool avx512 = (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1); // F, DQ, BW, VL
  const bool vnni = c >> 11 & 1;
  if (!(wide && avx512 && vnni)) return NPC_AVX2;
  bool amx = (d >> 22 & 1) && (d >> 24 & 1) && (d >> 25 & 1) && (low >> 17 & 3) == 3; // bf16, tile, int8; tile state enabled
  amx = amx && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);               // AVX512_BF16
  return amx && amx_permitted() ? NPC_AMX : NPC_AVX512;
}
#else
int detect() { return NPC_PLAIN; }
#endif

} // namespace

const Level &level_of(int level) {
#if defined(__x86_64__)
  switch (level) {
  case NPC_AMX: return level_amx;
  case NPC_AVX512: return level_avx512;
  case NPC_AVX2: return level_avx2;
  default: break;
  }
#endif
  (void)level;
  return level_plain;
}

namespace {

// Neighbours of one sequence share an attention unit, which wants rising positions.
void find_blocks(NpcContext *c) {
  const NpcBatch &b = c->batch;
  const int group = c->model.heads / c->model.kv_heads, tokens = QUERIES / group < 1 ? 1 : QUERIES / group;
  c->blocks.clear();
  for (int r = 0; r < b.rows;) {
    int n = 1;
    while (n < tokens && r + n < b.rows && b.sequence[r + n] == b.sequence[r] && b.position[r + n] > b.position[r + n - 1]) n++;
    c->blocks.push_back({r, n});
    r += n;
  }
}

void copy_few(NpcContext *c) {
  const NpcBatch &b = c->batch;
  Few &few = c->few;
  few.width = c->model.positions / PAGE + 1, few.pool = b.pool;
  const int wide = b.table_width < few.width ? b.table_width : few.width;
  for (int r = 0; r < b.rows; r++) {
    few.position[r] = b.position[r], few.sequence[r] = r;
    memcpy(few.tables + (size_t)r * few.width, b.tables + (size_t)b.sequence[r] * b.table_width, 4 * wide);
  }
  memcpy(few.output_rows, b.output_rows, 4 * b.outputs);
  std::copy(c->blocks.begin(), c->blocks.end(), few.blocks);
}

bool run(NpcContext *c, Part part) {
  find_blocks(c);
  if (c->batch.rows <= FEW) copy_few(c);
  return c->run->forward(c, (int)c->blocks.size(), part);
}

// Whether so many rows are wanted for their keys and values alone that the others are worth a run of their own.
bool worth_two_runs(const NpcBatch &b) {
  if (b.taps || b.last || b.rows - b.outputs <= FEW) return false;
  for (int i = 1; i < b.outputs; i++)
    if (b.output_rows[i] <= b.output_rows[i - 1]) return false;
  return true;
}

// From here on the batch is the rows whose logits are asked for.
void keep_wanted(NpcContext *c) {
  NpcBatch &b = c->batch;
  const Wanted &w = c->wanted;
  for (int i = 0; i < b.outputs; i++) {
    const int r = b.output_rows[i];
    w.position[i] = b.position[r], w.sequence[i] = b.sequence[r], w.output_rows[i] = i;
    if (b.steer) w.steer[i] = b.steer[r], w.steer_scale[i] = b.steer_scale[r];
    if (b.adapter) w.adapter[i] = b.adapter[r];
    if (r != i) memcpy(c->x + (size_t)i * c->hidden, c->x + (size_t)r * c->hidden, sizeof(float) * c->hidden);
  }
  b.rows = b.outputs, b.token = nullptr, b.position = w.position, b.sequence = w.sequence, b.output_rows = w.output_rows;
  if (b.steer) b.steer = w.steer, b.steer_scale = w.steer_scale;
  if (b.adapter) b.adapter = w.adapter;
}

// A row of a block: what an embedding is looked up with, for each token of a prompt.
void unpack_int4(const uint8_t *p, int lane, int width, float scale, float *values) {
  const uint8_t *factors = p;
  for (int c = 0; c < width; c += GROUP, values += GROUP) {
    if (c % CHUNK == 0) factors = p, p += 64;
    const int factor = (int8_t)factors[c % CHUNK / GROUP * TILE + lane];
    for (int i = 0; i < GROUP; i += 8, p += 64)
      for (int j = 0; j < 4; j++) {
        const int both = p[4 * lane + j];
        values[i + j] = scale * (float)(factor * ((both & 15) - 8));
        values[i + 4 + j] = scale * (float)(factor * ((both >> 4) - 8));
      }
  }
}

int check(const NpcContext &c, const NpcBatch &b) {
  const NpcModel &m = c.model;
  if (b.rows < 1 || b.rows > c.capacity || b.outputs < 0 || b.outputs > b.rows) return -2;
  for (int r = 0; r < b.rows; r++) {
    if (b.token[r] < 0 || b.token[r] >= m.vocab) return -3;
    if (b.position[r] < 0 || b.position[r] >= m.positions) return -4;
    if (b.sequence[r] < 0 || b.sequence[r] >= b.sequences) return -5;
    if (b.position[r] / PAGE >= b.table_width) return -6;
    const int32_t *table = b.tables + (size_t)b.sequence[r] * b.table_width;
    for (int p = r ? b.position[r] / PAGE : 0; p <= b.position[r] / PAGE; p++)
      if (table[p] < 0 || table[p] >= b.pages) {
        const int window = m.layer[0].window;
        if (!window || (p + 1) * PAGE > b.position[r] + 1 - window) return -6;
      }
    if (r && b.sequence[r] == b.sequence[r - 1] && b.position[r] != b.position[r - 1] + 1) return -7;
  }
  for (int i = 0; i < b.outputs; i++)
    if (b.output_rows[i] < 0 || b.output_rows[i] >= b.rows) return -8;
  return 0;
}
} // namespace

extern "C" {

int npc_level(void) {
  static const int level = detect();
  return level;
}

const char *npc_error(int code) {
  switch (code) {
  case 0: return "no error";
  case -1: return "a weight is not a finite number";
  case -2: return "more rows than the context was made for, or none";
  case -3: return "a token is outside the vocabulary";
  case -4: return "a position is outside the context window";
  case -5: return "a row names a sequence that is not in the batch";
  case -6: return "a sequence has no cache page where it needs one";
  case -7: return "rows of a sequence must be adjacent, positions rising by one";
  case -8: return "an output row is outside the batch";
  case -9: return "a token type is none of the model's";
  default: return "unknown error";
  }
}

int64_t npc_page_bytes(const NpcModel *m) {
  return (int64_t)(level_plain.head_bytes(*m) * m->layers * m->kv_heads);
}

int64_t npc_matrix_bytes(int32_t format, int32_t rows, int32_t cols) {
  return (int64_t)(rows / TILE) * (int64_t)tile_bytes(format, cols);
}

int npc_pack(int32_t format, int32_t rows, int32_t cols, const float *weights, const float *importance, uint8_t *packed) {
  return level_of(npc_level()).pack(format, rows, cols, weights, importance, packed);
}

void npc_unpack(const NpcMatrix *w, int32_t row, float *values) {
  const uint8_t *p = w->data + row / TILE * tile_bytes(w->format, w->cols);
  const int lane = row % TILE;
  const int block = block_of(w->format, w->cols);
  for (int k = 0; k < w->cols; k += block) {
    const int width = width_at(w->cols, block, k);
    uint32_t word = 0;
    if (quantised(w->format)) memcpy(&word, p + 4 * lane, 4);
    const int zero = (int)(word & 255);
    if (w->format == NPC_INT8) word &= ~255u;
    float scale;
    memcpy(&scale, &word, 4);
    if (w->format == NPC_INT4) unpack_int4(p + 64, lane, width, scale, values + k);
    for (int i = 0; i < width && w->format != NPC_INT4; i++) {
      const int quad = i / 4, at = 4 * lane + i % 4;
      float value = 0.0f;
      switch (w->format) {
      case NPC_INT8: value = scale * (float)(p[64 + 64 * quad + at] - zero); break;
      case NPC_TERNARY: value = scale * (float)((p[64 + 64 * (quad / 4) + at] >> (2 * (quad & 3)) & 3) - 1); break;
      case NPC_BF16: {
        uint16_t top;
        memcpy(&top, p + 2 * (TILE * i + lane), 2);
        const uint32_t bits = (uint32_t)top << 16;
        memcpy(&value, &bits, 4);
        break;
      }
      default: memcpy(&value, p + 4 * (TILE * i + lane), 4);
      }
      values[k + i] = value;
    }
    p += block_bytes(w->format, width);
  }
}

int npc_linear(const NpcMatrix *w, const float *x, int32_t m, float *y, int32_t level) {
  if (level > npc_level()) return -2;
  Arena arena;
  Rows rows = arena.rows(m, w->cols);
  for (int r = 0; r < m; r++) memcpy(rows.values_of(r), x + (size_t)r * w->cols, sizeof(float) * w->cols);
  int8_t *panel = arena.take<int8_t>((size_t)2 * 16 * WIDEST_BLOCK);
  level_of(level).linear(*w, rows, m, y, panel);
  if (w->bias)
    for (int r = 0; r < m; r++)
      for (int n = 0; n < w->rows; n++) y[(size_t)r * w->rows + n] += w->bias[n];
  return 0;
}

int npc_scan(const NpcScan *scan, int32_t level) {
  if (level > npc_level()) return -2;
  level_of(level).scan(*scan);
  return 0;
}

NpcContext *npc_create(const NpcModel *model, int32_t threads, int32_t max_rows, int32_t level) {
  if (threads < 1 || threads > 64 || max_rows < 1 || level > npc_level() || model->heads % model->kv_heads ||
      model->heads / model->kv_heads > 64 || model->head_pad > 512 || model->head_pad % 16)
    return nullptr;
  auto *c = new NpcContext();
  c->model = *model;
  c->layers.assign(model->layer, model->layer + model->layers);
  c->model.layer = c->layers.data();
  c->level = level < 0 ? npc_level() : level;
  c->run = &level_of(c->level);
  c->capacity = max_rows;
  c->hidden = padded(model->hidden, 64);
  const int attention_cols = padded(model->heads * model->head_pad, 64), inner = padded(model->inter, 64);
  const int width = c->hidden > attention_cols ? c->hidden : attention_cols, widest = width > inner ? width : inner;
  Arena &a = c->arena;
  c->x = a.take<float>((size_t)max_rows * c->hidden);
  c->q = a.take<float>((size_t)max_rows * model->heads * model->head_pad);
  c->shared = a.rows(max_rows, c->hidden);
  c->attended = a.rows(max_rows, attention_cols);
  c->inner = a.rows(max_rows, inner);
  // A unit's results: a head, the gate and up block, or a run of tiles (at most 48 KiB of weights: 32 bits x 16 x 32 tiles
  // at the very least 16 columns; wider runs are cut by tiles_per_unit).
  int run = 2 * CHUNK > model->head_pad ? 2 * CHUNK : model->head_pad;
  for (const NpcLayer &l : c->layers)
    for (const NpcMatrix *w : {&l.o, &l.down, &model->head}) {
      const int take = TILE * ((int)(49152 / tile_bytes(w->format, w->cols)) + 2);
      run = run > take ? run : take;
    }
  const size_t tables = (size_t)FEW * (model->positions / PAGE + 1);
  c->few.tables = a.take<int32_t>(tables);
  c->wanted = {a.take<int32_t>(max_rows),       a.take<int32_t>(max_rows), a.take<int32_t>(max_rows),
               a.take<const float *>(max_rows), a.take<float>(max_rows),   a.take<const NpcAdapter *>(max_rows)};
  c->scratch.resize(threads);
  for (Scratch &s : c->scratch) {
    s.rows = a.rows(8, widest);
    s.out = a.take<float>((size_t)max_rows * run);
    s.made = a.take<float>((size_t)max_rows * WIDEST_BLOCK / 2);
    s.u = a.take<float>((size_t)2 * max_rows * NPC_MAX_RANK);
    s.panel = a.take<int8_t>((size_t)2 * 16 * WIDEST_BLOCK);
    s.attention = a.take<unsigned char>(c->run->attention_bytes);
    s.row_values = a.take<float>(widest);
    s.attended = a.take<float>((size_t)FEW * attention_cols);
    s.few.tables = a.take<int32_t>(tables);
  }
  c->team = std::make_unique<Team>(threads);
  return c;
}

void npc_destroy(NpcContext *c) {
  c->team.reset(); // a thread may still be at a unit that somebody else has done
  delete c;
}

int npc_forward(NpcContext *c, const NpcBatch *batch) {
  const int bad = check(*c, *batch);
  if (bad) return bad;
  c->batch = *batch;
  if (!worth_two_runs(*batch)) return run(c, WHOLE) ? 0 : NPC_GIVEN_UP;
  if (!run(c, TO_KEYS)) return NPC_GIVEN_UP;
  if (!batch->outputs) return 0;
  keep_wanted(c);
  return run(c, FROM_QUERIES) ? 0 : NPC_GIVEN_UP;
}

void npc_yield(NpcContext *c, int32_t wanted) { c->team->yield(wanted); }

double npc_read_bandwidth(const uint8_t *data, int64_t bytes, int32_t threads, int32_t repeats) {
  Team team(threads);
  const Level &level = level_of(npc_level());
  std::vector<double> sink(threads * 8);
  struct Reader {
    Team *team;
    const Level *level;
    const uint8_t *data;
    int64_t bytes;
    double *sink;
    void operator()(Team::Me &me) const {
      const int64_t piece = 1 << 17; // as many bytes as a unit of a decode step
      team->phase(me, int(bytes / piece), [&](int i) { sink[8 * me.number] += level->read(data + i * piece, piece); });
    }
  } reader{&team, &level, data, bytes, sink.data()};
  double best = 0.0;
  for (int i = 0; i < repeats; i++) {
    const auto start = std::chrono::steady_clock::now();
    team.run(reader);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const double rate = (double)(bytes >> 17 << 17) / took.count() / 1e9;
    best = rate > best ? rate : best;
  }
  return best;
}
}

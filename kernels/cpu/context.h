// What npc_create allocates once: buffers shared by the team, and scratch of each thread.
#pragma once
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "api.h"
#include "formats.h"
#include "team.h"

enum { PAGE = 32 };     // tokens of a cache page
enum { QUERIES = 128 }; // query rows (tokens x heads of one group) of an attention unit at most
enum { AMX_ROWS = 9 };  // from here on the tile unit is the faster way to the same numbers

struct Block { // adjacent rows of one sequence that share an attention unit
  int first, rows;
};

struct EncoderScratch;
struct EncoderText;

// What of a step a run of the program does: see forward.inc.
enum Part { WHOLE, TO_KEYS, FROM_QUERIES };

struct Level { // one instruction level's entry points
  bool (*forward)(NpcContext *, int blocks, Part part); // false: it was given up
  int (*linear)(const NpcMatrix &, const Rows &, int m, float *y, int8_t *panel);
  size_t (*head_bytes)(const NpcModel &);
  size_t attention_bytes; // of one thread's attention scratch
  void (*scan)(const NpcScan &);
  double (*read)(const uint8_t *, int64_t);
  int (*pack)(int format, int rows, int cols, const float *weights, const float *importance, uint8_t *packed);
  void (*encode)(const NpcEncoder &, EncoderScratch &, const EncoderText *, int texts, int rows);
  size_t (*encoder_bytes)(int inputs, int outputs);
  int (*encoder_pack)(int inputs, int outputs, const float *weights, uint8_t *packed);
};

const Level &level_of(int level);

extern const Level level_plain;
#if defined(__x86_64__)
extern const Level level_avx2, level_avx512, level_amx;
#endif

// Zeroed, 64-byte aligned storage that lives as long as the context. What is never touched takes no memory.
class Arena {
public:
  template <class T> T *take(size_t count) {
    const size_t bytes = count * sizeof(T) + 64;
    held_.emplace_back(calloc(bytes, 1), free);
    if (!held_.back()) throw std::bad_alloc();
    return reinterpret_cast<T *>((reinterpret_cast<uintptr_t>(held_.back().get()) + 63) & ~uintptr_t(63));
  }
  Rows rows(int count, int cols) {
    const int stride = padded(cols, 64);
    const size_t n = (size_t)padded(count, 32);
    const size_t groups = n * (stride / GROUP);
    return Rows{take<float>(n * stride), take<int8_t>(n * stride), take<int8_t>(n * stride), take<float>(groups),
                take<int32_t>(groups),   take<int32_t>(groups),    stride};
  }

private:
  std::vector<std::unique_ptr<void, void (*)(void *)>> held_;
};

// What the kernels read of a batch, where it may be a batch of some time ago: see Program.
struct View {
  const int32_t *position, *sequence, *tables, *output_rows;
  const Block *blocks;
  int width; // of a table
  uint8_t *pool;
};

enum { FEW = 8 }; // rows

struct Few { // a batch of a few rows, copied
  int32_t position[FEW], sequence[FEW], output_rows[FEW], *tables;
  Block blocks[FEW];
  int width;
  uint8_t *pool;
  View view() const { return {position, sequence, tables, output_rows, blocks, width, pool}; }
};

struct Wanted { // the rows of a batch whose logits are asked for, as a batch
  int32_t *position, *sequence, *output_rows;
  const float **steer;
  float *steer_scale;
  const NpcAdapter **adapter;
};

struct Scratch { // per thread; the attention part depends on the level's source and is opaque here
  Rows rows;       // up to 8 rows of the widest input
  float *out;      // results of a unit before they are finished
  float *made;     // a block of the down projection's inputs
  float *u;        // low-rank inner products, two per row
  int8_t *panel;   // a block of two unpacked tiles
  void *attention;
  float *row_values;
  float *attended; // of a few rows
  Few few;
};

struct NpcContext {
  NpcModel model;
  std::vector<NpcLayer> layers;
  int level, capacity, hidden; // capacity in rows; hidden padded
  const Level *run;
  std::unique_ptr<Team> team;
  Arena arena;
  std::vector<Scratch> scratch;
  float *x, *q;
  Rows shared, attended, inner;
  std::vector<Block> blocks;
  NpcBatch batch;
  Few few; // of the batch, if it has a few rows
  Wanted wanted;
};

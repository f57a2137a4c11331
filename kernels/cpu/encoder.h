// A BERT encoder as it lies in memory after npc_encoder_create: what encoder.cpp makes and encoder.inc reads.
#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "api.h"
#include "context.h"
#include "formats.h"

// A linear layer, packed by the level that reads it (see encoder.inc): pairs of bfloat16 for the tile unit, else INT8.
struct EncoderMatrix {
  int inputs, outputs;
  const uint8_t *data;
  const float *bias;
};

struct EncoderNorm {
  const float *gain, *bias;
};

struct EncoderLayer {
  EncoderMatrix qkv, out, up, down;
  EncoderNorm after_attention, after_mlp;
};

enum { TOGETHER = 384 }; // tokens of whole texts that pass through a layer together: their inputs stay in the second level

// What one call needs while it runs.
struct EncoderScratch {
  Arena arena;
  float *x, *qkv, *product;       // rows x width; rows x 3 width; rows x inner
  uint16_t *in, *mixed, *hidden;  // inputs of the tile unit: rows x width, the same, rows x inner
  Rows narrow, wide;              // inputs of the other levels
  float *keys, *shares;           // one head's keys, transposed; shares of a few queries
  std::vector<int> token, place, type;
  EncoderScratch(const NpcEncoderModel &m, int rows, bool tiles);
};

struct NpcEncoder {
  NpcEncoderModel model;
  int level;
  const Level *run;
  Arena arena;
  std::vector<EncoderLayer> layers;
  std::unique_ptr<uint8_t, void (*)(void *)> packed{nullptr, free};
  std::mutex lock; // of `idle`
  std::vector<std::unique_ptr<EncoderScratch>> idle;
};

struct EncoderText { // of a pass: its first row and its tokens
  int first, tokens;
};

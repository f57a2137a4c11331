// How weights lie in memory. One tile = 16 rows over all columns, contiguous; a tile is a run of blocks: columns that share
// one weight scale and one activation scale. Everything a step reads is read once, in order. Each block begins with a line
// of 64 bytes: a 32-bit word S per row.
//
//   INT4     a block is the whole row up to 1,024 columns, else 512. Then per 128 columns a line of factors F (a signed
//            byte per row and group of 32 columns) and per group 256 B of nibbles     4.25 bits a weight + 32 a block
//            w = S * F * q, S a float, q in -8..7, |F| in 1..15: F * q fits a signed byte, so a whole block accumulates in
//            integers. A group's largest weight can be the -8, whatever its own sign, since F has one
//   INT8     blocks of 128; then 2048 B of bytes q                                    8.25 bits
//            w = S * (q - z), S a float without its low 8 bits, which are z: 256 values from the least to the largest
//   TERNARY  blocks as INT4; then per group 128 B of 2-bit q + 1, q in -1..1; S a float    2 bits + 32 a block
//   F32/BF16 no blocks: column after column, 16 rows each
//
// Byte order inside a group: quad j holds columns 4j..4j+3 of 16 rows, row-major (64 bytes): one operand of VPDPBUSD and
// one row of an AMX tile. INT4 keeps quad 2i in the low and quad 2i+1 in the high nibbles of line i; TERNARY keeps quads
// 4i..4i+3 in bit pairs 0..3 of line i (a group is two lines).
//
// The numeric definition, shared by every path and by npc/inference/reference.py:
//   activations of a row: per block, scale a = max|x| / R, whole numbers r = nearest(x * (R / max|x|))
//     R = 127: a byte.  For INT8 R = 127 * 128: two bytes, r = 128 * high + low, so that only the weights are inexact
//   y = over blocks in order: y + (float(sum of F q r, or (q - z) r, exact integer) * S) * a, the product rounded, then one
//   fused multiply-add.
// A block whose x holds NaN or infinity has a = NaN, so the damage reaches that row's outputs and no other row.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "api.h"

enum { TILE = 16, GROUP = 32, CHUNK = 128, WIDEST_BLOCK = 1024 }; // CHUNK: columns of a line of INT4 factors
enum { ONE_BYTE = 127, TWO_BYTES = 127 * 128 };                    // R

static inline bool quantised(int format) { return format >= NPC_INT8; }

// Columns of a block. 128-column blocks cost the tile unit as much float work as products; in INT4, 1,024 columns lose
// next to nothing against 128 (docs/log.md). 512 let the inputs of a down projection be quantised where they are made.
static inline int block_of(int format, int cols) {
  if (format == NPC_INT4 || format == NPC_TERNARY) return cols <= WIDEST_BLOCK ? cols : 512;
  return CHUNK;
}
static inline int width_at(int cols, int block, int at) { return cols - at < block ? cols - at : block; }

static inline size_t block_bytes(int format, int width) {
  switch (format) {
  case NPC_INT8: return 64 + (size_t)TILE * width;
  case NPC_INT4: return 64 + (size_t)64 * ((width + CHUNK - 1) / CHUNK) + (size_t)TILE * width / 2;
  case NPC_TERNARY: return 64 + (size_t)TILE * width / 4;
  case NPC_BF16: return (size_t)TILE * width * 2;
  default: return (size_t)TILE * width * 4;
  }
}

static inline size_t tile_bytes(int format, int cols) {
  const int block = block_of(format, cols);
  const size_t whole = (size_t)(cols / block) * block_bytes(format, block);
  return cols % block ? whole + block_bytes(format, cols % block) : whole;
}

// Activations of up to `capacity` rows, as the kernels want them. For the tile unit bytes and scales of 16 rows lie together
// ("tiled"): 16 x 64 bytes are one operand, and all operands of 16 rows follow each other.
struct Rows {
  float *values;      // row x cols (zero-padded)
  int8_t *bytes;      // row x stride;   tiled: row / 16, column / 64, 16 rows, 64 columns
  int8_t *low;        // as bytes: the low halves of two-byte numbers
  float *scale;       // row x blocks;   tiled: row / 16, block, 16 rows
  int32_t *sums;      // as scale: sum of the block's whole numbers
  int32_t *group_sum; // row x groups: -8 times the sum of the group's bytes; for INT4, none when tiled
  int stride;         // columns padded to 64, in bytes and in values alike
  float *values_of(int row) const { return values + (size_t)row * stride; }
  size_t at(int row) const { return (size_t)row * stride; }
  size_t tile_at(int row, int column) const {
    return (size_t)(row / 16) * 16 * stride + column / 64 * 1024 + row % 16 * 64 + column % 64;
  }
  size_t block_at(int row, int block) const { return (size_t)row * (stride / GROUP) + block; }
  size_t tile_block_at(int row, int block) const { return block_at(row / 16 * 16, 0) + 16 * block + row % 16; }
  Rows with(const Rows &other) const { // these buffers for what is quantised, another's values
    Rows out = *this;
    out.values = other.values, out.stride = other.stride;
    return out;
  }
  int32_t *group_sums_of(int row) const { return group_sum + (size_t)row * (stride / GROUP); }
};

static inline int padded(int n, int to) { return (n + to - 1) / to * to; }

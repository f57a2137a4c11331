// How weights lie in memory. One tile = 16 rows over all columns, contiguous; a tile is a run of blocks of 128 columns
// (the last one 32, 64 or 96). Everything a step reads is read once, in order.
//
//   INT4     64 B header: 16 half scales S, 32 B of 4-bit multipliers M (one per row and group of 32 columns)
//            then per group 256 B of nibbles                                        4.25 bits a weight
//            w = S * F * q, q in -8..7, F = M or -M, M in 1..15: F * q fits a signed byte, so a whole block accumulates
//            in integers. The signs of the four F sit in bits 0, 1, 2 and 15 of S (S itself is positive and keeps 7 bits
//            of mantissa): a group's largest weight can be the -8, whatever its own sign
//   INT8     64 B header: 16 float scales S; then 2048 B of bytes q + 128           8.25 bits
//   TERNARY  64 B header: 16 half scales S; then 512 B of 2-bit q + 1, q in -1..1   2.25 bits
//   F32/BF16 no header: column after column, 16 rows each
//
// Byte order inside a group: quad j holds columns 4j..4j+3 of 16 rows, row-major (64 bytes): one operand of VPDPBUSD and
// one row of an AMX tile. INT4 keeps quad 2i in the low and quad 2i+1 in the high nibbles of line i; TERNARY keeps quads
// 4i..4i+3 in bit pairs 0..3 of line i (a group is two lines).
//
// The numeric definition, shared by every path and by npc/inference/reference.py:
//   activations of a row: per block of 128 columns, scale a = max|x| / 127, bytes r = nearest(x * (127 / max|x|))
//   y = over blocks in order: y + (float(sum of F q r, exact integer) * S) * a, the product rounded, then one fused
//   multiply-add.
// A block whose x holds NaN or infinity has a = NaN, so the damage reaches that row's outputs and no other row.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "api.h"

enum { TILE = 16, BLOCK = 128, GROUP = 32 };

static inline int block_width(int cols, int at) { return cols - at < BLOCK ? cols - at : BLOCK; }
static inline int blocks_of(int cols) { return (cols + BLOCK - 1) / BLOCK; }

static inline size_t block_bytes(int format, int width) {
  switch (format) {
  case NPC_INT8: return 64 + (size_t)TILE * width;
  case NPC_INT4: return 64 + (size_t)TILE * width / 2;
  case NPC_TERNARY: return 64 + (size_t)TILE * width / 4;
  case NPC_BF16: return (size_t)TILE * width * 2;
  default: return (size_t)TILE * width * 4;
  }
}

static inline size_t tile_bytes(int format, int cols) {
  size_t whole = (size_t)(cols / BLOCK) * block_bytes(format, BLOCK);
  return cols % BLOCK ? whole + block_bytes(format, cols % BLOCK) : whole;
}

enum { SCALE_BITS = 0x7ff8 };                                     // of an INT4 header half: the scale
static inline int sign_bit(int group) { return group < 3 ? group : 15; } // and the sign of a group's factor

static inline bool quantised(int format) { return format >= NPC_INT8; }

// Activations of up to `capacity` rows, as the kernels want them. For the tile unit bytes and scales of 16 rows lie together
// ("tiled"): 16 x 64 bytes are one operand, and all operands of 16 rows follow each other.
struct Rows {
  float *values;  // row x cols (zero-padded)
  int8_t *bytes;  // row x stride;   tiled: row / 16, column / 64, 16 rows, 64 columns
  float *scale;   // row x blocks;   tiled: row / 16, block, 16 rows
  int32_t *sums;  // row x groups: sum of the group's bytes; none when tiled
  int stride;     // columns padded to 64, in bytes and in values alike
  float *values_of(int row) const { return values + (size_t)row * stride; }
  int8_t *bytes_of(int row) const { return bytes + (size_t)row * stride; }
  float *scale_of(int row) const { return scale + (size_t)row * (stride / GROUP); }
  int8_t *tile_of(int row, int column) const {
    return bytes + (size_t)(row / 16) * 16 * stride + column / 64 * 1024 + row % 16 * 64 + column % 64;
  }
  float *tile_scale_of(int row, int block) const { return scale_of(row / 16 * 16) + 16 * block + row % 16; }
  int32_t *sums_of(int row) const { return sums + (size_t)row * (stride / GROUP); }
};

static inline int padded(int n, int to) { return (n + to - 1) / to * to; }

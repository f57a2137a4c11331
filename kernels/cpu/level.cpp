// One instruction level: this file is compiled once per level with NPC_LEVEL_NAME and the level's -m flags.
// core.cpp goes first to the linker: of inline functions compiled in several files the linker keeps the first copy, and that
// must be the one any machine can run. Nothing here may instantiate a standard container.
#include <climits>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "context.h"
#include "encoder.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

namespace JOIN(npc_, NPC_LEVEL_NAME) {
#include "lanes.h"

#include "linear.inc"
#include "pack.inc"

#if defined(__AMX_INT8__)
#define NPC_HAS_AMX 1
#include "amx.inc"
#endif
#include "attention.inc"
#include "scan.inc"
#include "forward.inc"
#include "encoder.inc"

static int linear_test(const NpcMatrix &w, const Rows &a, int m, float *y, int8_t *panel) {
#ifdef NPC_HAS_AMX
  const bool tiled = m >= AMX_ROWS && quantised(w.format);
#else
  const bool tiled = false;
#endif
  for (int r = 0; r < m && quantised(w.format); r++) quantise_row(a, r, w, tiled);
#ifdef NPC_HAS_AMX
  if (tiled) {
    linear_amx(w, 0, w.rows / TILE, a, 0, m, {y, w.rows}, panel);
    return 0;
  }
#endif
  (void)panel;
  linear(w, 0, w.rows / TILE, a, 0, m, y, w.rows);
  return 0;
}

static double read_all(const uint8_t *data, int64_t bytes) { // a sum nobody needs, so that the reads happen
  i32x16 sum[4] = {};
  for (int64_t i = 0; i + 256 <= bytes; i += 256) {
    __builtin_prefetch(data + i + 4096, 0, 3);
    for (int j = 0; j < 4; j++) sum[j] = sum[j] + (i32x16)load_bytes(data + i + 64 * j);
  }
  i32x16 all = sum[0] + sum[1] + sum[2] + sum[3];
  return all[0] + all[7];
}

} // namespace JOIN(npc_,NPC_LEVEL_NAME)

#ifdef NPC_HAS_AMX
extern "C" int npc_amx_config_survives(void) {
  if (npc_level() < NPC_AMX) return -1;
  alignas(64) npc_amx::TileConfig seen = {};
  npc_amx::configure_tiles();
  _tile_storeconfig(&seen);
  _tile_release();
  for (int i = 0; i < 8; i++)
    if (seen.bytes_per_row[i] != 64 || seen.rows[i] != 16) return 0;
  return seen.palette == 1;
}
#elif !defined(__x86_64__)
extern "C" int npc_amx_config_survives(void) { return -1; }
#endif

#define SPACE JOIN(npc_, NPC_LEVEL_NAME)
extern const Level JOIN(level_, NPC_LEVEL_NAME) = {SPACE::forward, SPACE::linear_test, SPACE::head_bytes,
                                                   sizeof(SPACE::AttentionScratch), SPACE::scan, SPACE::read_all,
                                                   SPACE::pack,     SPACE::encode,      SPACE::encoder_bytes,
                                                   SPACE::encoder_pack};

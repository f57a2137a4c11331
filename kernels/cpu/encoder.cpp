// The C interface of encoders: packing, checks, and scratch that calls from several threads take turns with.
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#include "encoder.h"

namespace {

enum : size_t { HUGE = (size_t)1 << 21 };

// 2 MiB pages where the system gives them: a pass reads all weights once, and looks up each page.
uint8_t *take_large(size_t bytes) {
  const size_t whole = (bytes + HUGE) & ~(HUGE - 1); // and room for lines asked for behind the end
  void *place = aligned_alloc(HUGE, whole);
  if (!place) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  madvise(place, whole, MADV_HUGEPAGE);
#endif
  return static_cast<uint8_t *>(place);
}

struct Borrowed { // scratch of an encoder, given back at the end
  NpcEncoder &e;
  std::unique_ptr<EncoderScratch> held;
  explicit Borrowed(NpcEncoder &e, int rows) : e(e) {
    const std::lock_guard<std::mutex> guard(e.lock);
    if (rows <= TOGETHER && !e.idle.empty()) held = std::move(e.idle.back()), e.idle.pop_back();
  }
  ~Borrowed() {
    const std::lock_guard<std::mutex> guard(e.lock);
    e.idle.push_back(std::move(held));
  }
};

} // namespace

EncoderScratch::EncoderScratch(const NpcEncoderModel &m, int rows, bool tiles) {
  const int tall = padded(rows, 32), longest = padded(m.positions, 16);
  x = arena.take<float>((size_t)tall * m.width);
  qkv = arena.take<float>((size_t)tall * 3 * m.width);
  const int widest = m.inner > 3 * m.width ? m.inner : 3 * m.width;
  product = arena.take<float>((size_t)tall * (tiles ? 32 : widest));
  keys = arena.take<float>((size_t)m.width / m.heads * longest);
  shares = arena.take<float>((size_t)4 * longest);
  if (tiles) {
    in = arena.take<uint16_t>((size_t)tall * m.width);
    mixed = arena.take<uint16_t>((size_t)tall * m.width);
    hidden = arena.take<uint16_t>((size_t)tall * m.inner);
  } else {
    narrow = arena.rows(tall, m.width);
    wide = arena.rows(tall, m.inner);
  }
  token.resize(tall), place.resize(tall), type.resize(tall);
}

extern "C" {

NpcEncoder *npc_encoder_create(const NpcEncoderModel *model, int32_t level) {
  const NpcEncoderModel &m = *model;
  if (level > npc_level() || m.width % 32 || m.inner % 32 || m.heads < 1 || m.width % m.heads || m.width / m.heads % 16)
    return nullptr;
  auto e = std::make_unique<NpcEncoder>();
  e->model = m;
  e->level = level < 0 ? npc_level() : level;
  e->run = &level_of(e->level);
  auto kept = [&](const float *from, int n) {
    float *const to = e->arena.take<float>(n);
    memcpy(to, from, sizeof(float) * n);
    return to;
  };
  e->model.norm_gain = kept(m.norm_gain, m.width), e->model.norm_bias = kept(m.norm_bias, m.width);
  size_t bytes = 0;
  const int shapes[4][2] = {{m.width, 3 * m.width}, {m.width, m.width}, {m.width, m.inner}, {m.inner, m.width}};
  for (const auto &shape : shapes) bytes += m.layers * e->run->encoder_bytes(shape[0], shape[1]);
  e->packed.reset(take_large(bytes));
  uint8_t *to = e->packed.get();
  bool fine = true;
  for (int i = 0; i < m.layers; i++) { // in the order in which a pass reads them: each is asked for while its forerunner is used
    const NpcEncoderLayer &l = m.layer[i];
    const float *const from[4][2] = {{l.qkv, l.qkv_bias}, {l.out, l.out_bias}, {l.up, l.up_bias}, {l.down, l.down_bias}};
    EncoderMatrix made[4];
    for (int j = 0; j < 4; j++) {
      const int inputs = shapes[j][0], outputs = shapes[j][1];
      made[j] = {inputs, outputs, to, kept(from[j][1], outputs)};
      fine = fine && e->run->encoder_pack(inputs, outputs, from[j][0], to) == 0;
      to += e->run->encoder_bytes(inputs, outputs);
    }
    e->layers.push_back({made[0], made[1], made[2], made[3], {kept(l.norm1_gain, m.width), kept(l.norm1_bias, m.width)},
                         {kept(l.norm2_gain, m.width), kept(l.norm2_bias, m.width)}});
  }
  e->model.layer = nullptr;
  return fine ? e.release() : nullptr;
}

void npc_encoder_destroy(NpcEncoder *e) { delete e; }

int npc_encode(NpcEncoder *e, int32_t texts, const int32_t *lengths, const int32_t *tokens, const int32_t *types, float *states) {
  const NpcEncoderModel &m = e->model;
  int longest = TOGETHER, all = 0;
  for (int t = 0; t < texts; t++) {
    if (lengths[t] < 0 || lengths[t] > m.positions) return -4;
    longest = lengths[t] > longest ? lengths[t] : longest, all += lengths[t];
  }
  for (int i = 0; i < all; i++) {
    if (tokens[i] < 0 || tokens[i] >= m.vocab) return -3;
    if (types && (types[i] < 0 || types[i] >= m.types)) return -9;
  }
  Borrowed borrowed(*e, longest);
  if (!borrowed.held) borrowed.held = std::make_unique<EncoderScratch>(m, longest, e->level >= NPC_AMX);
  EncoderScratch &s = *borrowed.held;
  std::vector<EncoderText> pass;
  for (int t = 0; t < texts;) {
    int rows = 0;
    for (pass.clear(); t < texts && (pass.empty() || rows + lengths[t] <= TOGETHER); rows += lengths[t++])
      pass.push_back({rows, lengths[t]});
    int r = 0;
    for (const EncoderText &text : pass)
      for (int i = 0; i < text.tokens; i++, r++) s.token[r] = tokens[r], s.place[r] = i, s.type[r] = types ? types[r] : 0;
    if (!rows) continue; // empty texts alone
    e->run->encode(*e, s, pass.data(), (int)pass.size(), rows);
    memcpy(states, s.x, sizeof(float) * rows * m.width);
    tokens += rows, states += (size_t)rows * m.width;
    if (types) types += rows;
  }
  return 0;
}
}

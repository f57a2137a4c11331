// The thread team: phases of units, claimed one by one; no thread is waited for unless it holds a claimed unit.
//
//   every thread runs the same program:   phase(n1, f1)  phase(n2, f2)  ...  phase(nk, fk)
//   claim word  = [ serial number of the current phase | next unit ]      a claim is one compare-and-swap on it
//   the thread that finishes the last unit of a phase moves the word to the next serial, which wakes who waits
//
// A thread that was descheduled finds a later serial when it comes back and walks its program forward without touching
// anything, so a busy neighbour costs its share of the core and no more; a barrier that counts threads would cost a time
// slice at each layer. Waiting spins for about 20 us (a decode step's phase is shorter than that; longer for many rows), then
// sleeps on a futex: a sleeper is
// rescheduled at once when it is woken, where a spinner or a yielder has used up its share and goes to the back.
//
// Of a few rows a unit takes microseconds, a lost core milliseconds. There a unit has two parts, and who would sleep does
// over what the other holds instead:
//
//   compute   reads anything, writes only what is the thread's own    may be done twice; may come late and read nonsense
//   take      a compare-and-swap on the unit's bit, the first wins    who is late finds a later serial and drops its own
//   commit    writes what is shared                                   once; who is in it is waited for
// A program can be given up: who finishes a phase moves the word beyond all of the program's phases, and everybody walks out.
#pragma once
#include <atomic>
#include <climits>
#include <cstdint>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
static inline void relax() { _mm_pause(); }
#else
static inline void relax() { std::this_thread::yield(); }
#endif

class Team {
public:
  // Who runs: its number, its place in the program.
  struct Me {
    int number;
    uint32_t serial, step;
  };

  explicit Team(int threads) : threads_(threads), taken_(kTwice / 32) {
    for (int i = 1; i < threads; i++) workers_.emplace_back([this, i] { serve(i); });
  }

  ~Team() {
    stop_.store(true);
    step_.fetch_add(2);
    wake(&step_);
    for (auto &worker : workers_) worker.join();
  }

  int threads() const { return threads_; }

  // Run program(me) on every thread. Returns when all its phases are done; workers may still be walking out of it, so the
  // program must be a copyable value that reads shared memory only inside units.
  // `patience` times the usual spinning before a wait sleeps: where units are long, waiting for the last of them is too.
  // Where it `yields`, false is returned when yield() was heard before the end; of at most kBeyond phases, then.
  template <class Program> bool run(const Program &program, int patience = 1, bool yields = false) {
    static_assert(sizeof(Program) <= sizeof(program_), "program too large");
    patience_.store(patience, std::memory_order_relaxed);
    yields_.store(yields, std::memory_order_relaxed);
    const uint32_t base = uint32_t(claim_.load() >> 32);
    if (base - swept_ > 1u << 30) { // else serials of long ago would count as later ones
      for (auto &word : taken_) word.store(uint64_t(base) << 32);
      swept_ = base;
    }
    if (threads_ > 1) {
      step_.fetch_add(1); // odd: the program is being written
      base_ = base;
      invoke_ = [](const void *p, Me &me) { (*static_cast<const Program *>(p))(me); };
      std::atomic_thread_fence(std::memory_order_release);
      __builtin_memcpy(program_, static_cast<const void *>(&program), sizeof(Program));
      step_.fetch_add(1);
      if (idle_.load()) wake(&step_);
    }
    Me me{0, base, 0};
    program(me);
    const uint32_t now = uint32_t(claim_.load() >> 32);
    return now == me.serial || now == me.serial - 1 + kBeyond; // heard after the last phase: all was done
  }

  // From any thread: give up what runs, and what will run, as far as it yields; until yield(false).
  void yield(bool wanted) { asked_.store(wanted); }

  // Whether the program me runs is still the one that is wanted; what it read before is then whole.
  bool current(const Me &me) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    return !me.number || step_.load() == me.step;
  }

  // Units 0..n-1, each once, on whoever comes. All threads must name the same n.
  template <class Unit> void phase(Me &me, int n, Unit &&unit) {
    if (n <= 0) return;
    const uint32_t serial = me.serial++;
    if (threads_ == 1) {
      if (uint32_t(claim_.load(std::memory_order_relaxed) >> 32) != serial) return;
      for (int i = 0; i < n; i++) unit(i);
      claim_.store(after(serial), std::memory_order_relaxed);
      return;
    }
    uint64_t seen = claim_.load(std::memory_order_acquire);
    for (;;) {
      if (uint32_t(seen >> 32) != serial) return;
      if (uint32_t(seen) >= uint32_t(n)) {
        await(serial);
        return;
      }
      if (!claim_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      unit(int(uint32_t(seen)));
      if (finished(n, serial)) return;
      seen = claim_.load(std::memory_order_acquire);
    }
  }

  // As phase(), with units in two parts; see above. `twice`: whether they may be done over.
  template <class Compute, class Commit>
  void phase(Me &me, int n, bool twice, const Compute &compute, const Commit &commit) {
    auto whole = [&](int i) { compute(i), commit(i); };
    if (!twice || threads_ == 1 || n > kTwice) return phase(me, n, whole);
    if (n <= 0) return;
    const uint32_t serial = me.serial++;
    auto done = [&](int i) { // whether that ended the phase
      compute(i);
      if (!take(i, serial)) return false;
      commit(i);
      return finished(n, serial);
    };
    uint64_t seen = claim_.load(std::memory_order_acquire);
    while (uint32_t(seen >> 32) == serial && uint32_t(seen) < uint32_t(n)) {
      if (!claim_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      if (done(int(uint32_t(seen)))) return;
      seen = claim_.load(std::memory_order_acquire);
    }
    if (!waits(serial)) return;
    for (int i = 0; i < n && uint32_t(claim_.load(std::memory_order_acquire) >> 32) == serial; i++)
      if (!taken(i, serial) && done(i)) return;
    await(serial);
  }

private:
  static constexpr int kSpins = 600; // pauses; about 20 us at 40 ns each
  enum { kTwice = 4096 };            // units of a phase that can be done over, at most
  enum : uint32_t { kBeyond = 1 << 14 };

  static void sleep_on(std::atomic<uint32_t> *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
  }
  static void wake(std::atomic<uint32_t> *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  }

  uint64_t after(uint32_t serial) const { // the word that ends a phase
    const bool over = yields_.load(std::memory_order_relaxed) && asked_.load(std::memory_order_relaxed);
    return uint64_t(serial + (over ? uint32_t(kBeyond) : 1)) << 32;
  }

  bool finished(int n, uint32_t serial) {
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 != n) return false;
    done_.store(0, std::memory_order_relaxed);
    claim_.store(after(serial));
    if (asleep_.load()) wake(reinterpret_cast<std::atomic<uint32_t> *>(&claim_) + 1);
    return true;
  }

  // Of 32 units: [ serial of the last phase in which one of them was taken | a bit for each that was ].
  bool taken(int unit, uint32_t serial) const {
    const uint64_t word = taken_[unit / 32].load(std::memory_order_acquire);
    const int32_t later = int32_t(uint32_t(word >> 32) - serial);
    return later > 0 || (later == 0 && (word >> unit % 32 & 1));
  }
  bool take(int unit, uint32_t serial) {
    std::atomic<uint64_t> &of = taken_[unit / 32];
    const uint64_t bit = uint64_t(1) << unit % 32, mine = uint64_t(serial) << 32;
    uint64_t word = of.load(std::memory_order_acquire);
    for (;;) {
      const int32_t later = int32_t(uint32_t(word >> 32) - serial);
      if (later > 0 || (later == 0 && (word & bit))) return false;
      if (of.compare_exchange_weak(word, later ? mine | bit : word | bit, std::memory_order_acq_rel)) return true;
    }
  }

  bool waits(uint32_t serial) const { // until the phase is over, or as long as spinning pays: then true
    for (int i = patience_.load(std::memory_order_relaxed) * kSpins; i > 0; i--) {
      if (uint32_t(claim_.load(std::memory_order_acquire) >> 32) != serial) return false;
      relax();
    }
    return true;
  }

  void await(uint32_t serial) {
    if (!waits(serial)) return;
    auto *high = reinterpret_cast<std::atomic<uint32_t> *>(&claim_) + 1; // little-endian: the serial half
    asleep_.fetch_add(1);
    while (uint32_t(claim_.load() >> 32) == serial) sleep_on(high, serial);
    asleep_.fetch_sub(1);
  }

  void serve(int number) {
    alignas(64) unsigned char copy[sizeof(program_)];
    uint32_t last = 0;
    for (;;) {
      uint32_t now = step_.load(std::memory_order_acquire);
      for (int i = 0; i < 4 * kSpins && now == last; i++) relax(), now = step_.load(std::memory_order_acquire);
      if (now == last) {
        idle_.fetch_add(1);
        while ((now = step_.load()) == last) sleep_on(&step_, last);
        idle_.fetch_sub(1);
      }
      if (stop_.load()) return;
      if (now & 1) {
        relax();
        continue;
      }
      __builtin_memcpy(copy, program_, sizeof(copy));
      Me me{number, base_, now};
      auto invoke = invoke_;
      std::atomic_thread_fence(std::memory_order_acquire);
      if (step_.load() != now) continue; // a newer program was written meanwhile: this copy may be torn
      last = now;
      invoke(copy, me);
    }
  }

  enum : uint32_t { kFirst = (1u << 31) - 4096 }; // near where the sign turns, so that every test goes over it
  alignas(64) std::atomic<uint64_t> claim_{uint64_t(kFirst) << 32};
  alignas(64) std::atomic<int32_t> done_{0};
  alignas(64) std::atomic<uint32_t> step_{0};
  std::atomic<int32_t> asleep_{0}, idle_{0}, patience_{1};
  std::atomic<bool> stop_{false}, yields_{false}, asked_{false};
  uint32_t base_ = 0, swept_ = 0;
  void (*invoke_)(const void *, Me &) = nullptr;
  alignas(64) unsigned char program_[256] = {};
  const int threads_;
  std::vector<std::atomic<uint64_t>> taken_;
  std::vector<std::thread> workers_;
};

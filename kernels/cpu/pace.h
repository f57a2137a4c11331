// Whether a step of few rows is better run by one thread: where other processes hold the cores, two threads that share a
// layer's work wait for each other's lost turns, and a small model loses more by that than it gains.
//
//   EASY ── steps take 1.35 times what they did ──> TRIAL (the other way) ── 16 steps ──> HELD (the better way) ──┐
//    ^                                                ^                                                           │
//    │                                                └──────────── 32 steps, twice as many each time the ────────┤
//    └── together, and as quick as ever ──────────────              held way was confirmed, 512 at most           │
//                                        └────────────────────────────────────────────────────────────────────────┘
//
// Times are compared as multiples of the quickest such step seen lately, so that steps of one and of eight rows count alike.
// Nothing is tried, and so nothing lost, while steps are as quick as ever. Results do not depend on the choice.
#pragma once

class Pace {
public:
  enum { ROWS = 8 }; // more rows: always together

  bool alone() const { return alone_; }

  // A step of `rows` rows, run as alone() said, took that long.
  void took(int rows, double seconds) {
    if (rows > ROWS || !(seconds > 0.0)) return;
    double &quick = quickest_[rows];
    const double now = quick == 0.0 || seconds < quick ? seconds : quick * DRIFT;
    if (quick != 0.0) usual_ *= quick / now, trial_ *= quick / now; // what was said in terms of the old one
    quick = now;
    const double times = seconds / quick;
    steps_++;
    if (state_ == TRIAL) {
      trial_ += times / SAMPLE;
      if (steps_ < SAMPLE) return;
      const bool better = trial_ < MARGIN * usual_;
      hold_ = better ? HOLD : hold_ * 2 < LONGEST ? hold_ * 2 : LONGEST;
      if (better) usual_ = trial_;
      else alone_ = !alone_;
      state_ = HELD, steps_ = 0;
      return;
    }
    usual_ += (times - usual_) / SAMPLE;
    if (state_ == HELD && !alone_ && usual_ < CALM) state_ = EASY, hold_ = HOLD;
    if (state_ == EASY ? usual_ > SLOW : steps_ >= hold_) state_ = TRIAL, alone_ = !alone_, steps_ = 0, trial_ = 0.0;
  }

private:
  enum State { EASY, HELD, TRIAL };
  enum { SAMPLE = 16, HOLD = 32, LONGEST = 512 };
  // A context grows by a token a step and slows it by less than DRIFT; MARGIN: a change must be worth it.
  static constexpr double DRIFT = 1.002, MARGIN = 0.98, SLOW = 1.35, CALM = 1.2;

  State state_ = EASY;
  bool alone_ = false;
  int steps_ = 0, hold_ = HOLD;
  double quickest_[ROWS + 1] = {}, usual_ = 1.0, trial_ = 0.0;
};

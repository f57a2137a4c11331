// Audio between the socket and the speaker: plays items in order and counts every sample that left.
//
//   Idle --audio--> Priming --60 ms queued, or the item whole--> Playing --queue empty--> Starved --audio--> Priming
//     ^                                                        |  \--pause--> Paused --resume--> Playing
//     +----------------- last sample pulled, or flushed -------+
//
// Pull runs on the audio thread, the rest on the game thread; one lock is held for microseconds.
#pragma once

#include <algorithm>
#include <deque>
#include <list>
#include <mutex>
#include <set>
#include <utility>

#include "Frame.h"

namespace npc {

enum class PlayState { Idle, Priming, Playing, Starved, Paused };

class JitterBuffer {
public:
    explicit JitterBuffer(int rate, int primeMs = 60, int fadeMs = 8)
        : primeSamples_(rate * primeMs / 1000),
          fadeSamples_(std::max(1, rate * fadeMs / 1000)),
          longestHole_(static_cast<std::int64_t>(rate) * kLongestHoleSeconds) {}

    /// No server leaves a hole this long: a frame behind one does not belong here.
    static constexpr int kLongestHoleSeconds = 10;

    struct Status {
        PlayState state = PlayState::Idle;
        std::uint32_t ordinal = 0;
        std::int64_t played = 0;  // samples of item `ordinal` that have left
        int underruns = 0;
    };

    Status Now() const {
        std::lock_guard<std::mutex> hold(gate_);
        return status_;
    }

    /// False for audio too far ahead to belong to its item.
    bool Push(const Frame& frame) {
        std::lock_guard<std::mutex> hold(gate_);
        if (flushed_.count(frame.ordinal) != 0) return true;
        auto item = std::find_if(items_.begin(), items_.end(), [&](const Item& one) { return one.ordinal == frame.ordinal; });
        if (item == items_.end()) {
            items_.push_back(Item{frame.ordinal, {}, 0, frame.start, frame.start, false, false});
            item = std::prev(items_.end());
            if (status_.state == PlayState::Idle) status_.state = PlayState::Priming;
        }
        const std::int64_t hole = frame.start - item->end;
        if (hole > longestHole_) return false;
        if (hole > 0) {
            // Silence where audio is missing: the clock stays on the item's samples.
            item->chunks.emplace_back(static_cast<std::size_t>(hole), std::int16_t{0});
            item->end = frame.start;
        }
        // A resumed socket may repeat what is queued already: keep only samples past the end.
        const std::int64_t known = std::max<std::int64_t>(0, item->end - frame.start);
        if (known < static_cast<std::int64_t>(frame.pcm.size())) {
            item->chunks.emplace_back(frame.pcm.begin() + known, frame.pcm.end());
            item->end = frame.start + static_cast<std::int64_t>(frame.pcm.size());
        }
        item->whole = item->whole || frame.last;
        return true;
    }

    /// Fill `output` with the next samples, silence where there are none; returns samples of voice.
    int Pull(std::int16_t* output, int count) {
        std::lock_guard<std::mutex> hold(gate_);
        std::fill(output, output + count, std::int16_t{0});
        if (items_.empty()) {
            status_.state = PlayState::Idle;
            return 0;
        }
        Item& item = items_.front();
        if (paused_ && gain_ <= 0.0f) {
            status_.state = PlayState::Paused;
            return 0;
        }
        if (!item.primed) {
            if (!item.whole && item.end - item.played < primeSamples_) return 0;
            item.primed = true;
        }
        status_.state = PlayState::Playing;
        const int filled = Drain(item, output, count);
        item.played += filled;
        status_.ordinal = item.ordinal;
        status_.played = item.played;
        Shape(output, filled);
        if (filled < count) RanOut(item);
        return filled;
    }

    /// The items that sounded to their end since the last call, as (ordinal, samples).
    std::deque<std::pair<std::uint32_t, std::int64_t>> TakeFinished() {
        std::lock_guard<std::mutex> hold(gate_);
        return std::exchange(finished_, {});
    }

    /// Nothing more of this response sounds, now or later.
    void Flush(std::uint32_t ordinal) {
        std::lock_guard<std::mutex> hold(gate_);
        flushed_.insert(ordinal);
        const bool waited = !items_.empty() && items_.front().ordinal != ordinal;
        items_.remove_if([&](const Item& one) { return one.ordinal == ordinal; });
        if (waited) return;  // what sounds before it, or its pause, goes on
        paused_ = false;
        gain_ = target_ = 1.0f;
        fadeLeft_ = 0;
        if (items_.empty()) status_.state = PlayState::Idle;
    }

    /// Another session begins: nothing of the one before sounds, and its ordinals may come again.
    void Clear() {
        std::lock_guard<std::mutex> hold(gate_);
        items_.clear();
        flushed_.clear();
        finished_.clear();
        paused_ = false;
        gain_ = target_ = 1.0f;
        fadeLeft_ = 0;
        status_ = {PlayState::Idle, 0, 0, status_.underruns};
    }

    void Pause() { Fade(true, 0.0f); }
    void Duck(float to) { Fade(paused_, to); }
    void Resume() { Fade(false, 1.0f); }

private:
    struct Item {
        std::uint32_t ordinal;
        std::deque<std::vector<std::int16_t>> chunks;
        std::size_t head;
        std::int64_t played;
        std::int64_t end;
        bool whole;
        bool primed;
    };

    static int Drain(Item& item, std::int16_t* output, int count) {
        int filled = 0;
        while (filled < count && !item.chunks.empty()) {
            const auto& chunk = item.chunks.front();
            const int take = std::min<int>(count - filled, static_cast<int>(chunk.size() - item.head));
            std::copy_n(chunk.begin() + static_cast<std::ptrdiff_t>(item.head), take, output + filled);
            filled += take;
            item.head += static_cast<std::size_t>(take);
            if (item.head == chunk.size()) {
                item.chunks.pop_front();
                item.head = 0;
            }
        }
        return filled;
    }

    void RanOut(Item& item) {
        if (item.whole) {
            finished_.emplace_back(item.ordinal, item.played);
            items_.pop_front();
            status_.state = items_.empty() ? PlayState::Idle : PlayState::Priming;
            return;
        }
        ++status_.underruns;
        item.primed = false;
        status_.state = PlayState::Starved;
    }

    void Fade(bool paused, float to) {
        std::lock_guard<std::mutex> hold(gate_);
        paused_ = paused;
        target_ = to;
        slope_ = (target_ - gain_) / static_cast<float>(fadeSamples_);
        fadeLeft_ = fadeSamples_;
    }

    void Shape(std::int16_t* output, int filled) {
        if (gain_ == 1.0f && fadeLeft_ == 0) return;
        for (int i = 0; i < filled; ++i) {
            output[i] = static_cast<std::int16_t>(static_cast<float>(output[i]) * gain_);
            if (fadeLeft_ == 0) continue;
            --fadeLeft_;
            gain_ = fadeLeft_ == 0 ? target_ : gain_ + slope_;
        }
    }

    mutable std::mutex gate_;
    std::list<Item> items_;
    std::set<std::uint32_t> flushed_;
    std::deque<std::pair<std::uint32_t, std::int64_t>> finished_;
    Status status_;
    int primeSamples_;
    int fadeSamples_;
    std::int64_t longestHole_;
    bool paused_ = false;
    float gain_ = 1.0f;
    float target_ = 1.0f;
    float slope_ = 0.0f;
    int fadeLeft_ = 0;
};

}  // namespace npc

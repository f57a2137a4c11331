// The performance score on the played-sample clock: point cues, and the blendshape track between its frames.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "Frame.h"

namespace npc {

/// One entry of the score; times are samples of its item (or of the input, where the message says so).
struct Cue {
    std::string kind;
    std::string name;
    std::int64_t at = 0;
    std::int64_t until = 0;
    float weight = 1.0f;
    std::string target;
    std::string callId;
};

/// Cues of one spoken item, handed out once, in order, when the audio has come to them.
class CueQueue {
public:
    void Add(Cue cue) {
        const auto place = std::upper_bound(pending_.begin(), pending_.end(), cue, [](const Cue& a, const Cue& b) { return a.at < b.at; });
        pending_.insert(place, std::move(cue));
    }

    void Due(std::int64_t played, std::vector<Cue>& due) {
        auto end = pending_.begin();
        while (end != pending_.end() && end->at <= played) due.push_back(*end++);
        pending_.erase(pending_.begin(), end);
    }

private:
    std::vector<Cue> pending_;
};

/// Frames of one item. Past the last frame known the pose decays to rest; late, doubled and out-of-order blocks are sorted in.
class BlendshapeTrack {
public:
    static constexpr double kDecaySeconds = 0.15;

    /// False when the block has another number of channels than the blocks before.
    bool Add(const Frame& block) {
        if (!blocks_.empty() && blocks_.front().channels != block.channels) return false;
        if (block.count == 0) return true;
        const auto place = std::lower_bound(blocks_.begin(), blocks_.end(), block, [](const Frame& a, const Frame& b) { return a.start < b.start; });
        if (place == blocks_.end() || place->start != block.start) blocks_.insert(place, block);
        return true;
    }

    bool Empty() const { return blocks_.empty(); }

    /// Write the weights in [0, 1] at sample `played` of the item; `pose` keeps its size.
    void Sample(double played, int rate, std::vector<float>& pose) const {
        std::fill(pose.begin(), pose.end(), 0.0f);
        auto at = static_cast<int>(blocks_.size()) - 1;
        while (at >= 0 && static_cast<double>(blocks_[at].start) > played) --at;
        if (at < 0) return;
        const Frame& block = blocks_[at];
        const double exact = (played - static_cast<double>(block.start)) / block.samplesPerFrame;
        const int index = static_cast<int>(std::min<double>(std::floor(exact), block.count - 1));
        const Frame* next = &block;
        int nextIndex = index + 1;
        if (nextIndex == block.count) {
            nextIndex = 0;
            const bool follows = at + 1 < static_cast<int>(blocks_.size()) && blocks_[at + 1].start == block.End();
            next = follows ? &blocks_[at + 1] : nullptr;
        }
        const double mix = next == nullptr ? 0.0 : std::min(1.0, exact - index);
        const double late = next == nullptr ? std::max(0.0, played - static_cast<double>(block.End())) / rate : 0.0;
        const double keep = std::max(0.0, 1.0 - late / kDecaySeconds);
        const std::size_t channels = std::min(pose.size(), static_cast<std::size_t>(block.channels));
        for (std::size_t c = 0; c < channels; ++c) {
            const double here = block.weights[static_cast<std::size_t>(index) * block.channels + c];
            const double there = next == nullptr ? here : next->weights[static_cast<std::size_t>(nextIndex) * block.channels + c];
            pose[c] = static_cast<float>((here + (there - here) * mix) / 255.0 * keep);
        }
    }

private:
    std::vector<Frame> blocks_;
};

/// xorshift32 with a seed mixer: the same integers in every client and in the server.
class SeededRandom {
public:
    explicit SeededRandom(std::uint32_t seed, std::uint32_t stream = 0) : state_(Mix(seed, stream)) {}

    static std::uint32_t Mix(std::uint32_t seed, std::uint32_t stream) {
        std::uint32_t h = seed ^ (stream * 0x9E3779B1u);
        h ^= h >> 16;
        h *= 0x85EBCA6Bu;
        h ^= h >> 13;
        h *= 0xC2B2AE35u;
        h ^= h >> 16;
        return h != 0 ? h : 0x9E3779B9u;
    }

    std::uint32_t Next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return state_;
    }

    /// An integer in [0, n) for n up to 65536.
    int Below(int n) { return static_cast<int>(((Next() >> 16) * static_cast<std::uint32_t>(n)) >> 16); }

private:
    std::uint32_t state_;
};

}  // namespace npc

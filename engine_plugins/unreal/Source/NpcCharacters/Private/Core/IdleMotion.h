// Life without speech from the session's seed, the same in every client. The specification is the docstring of npc/animation/idle.py;
// times are milliseconds since the session began.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "Generated.h"
#include "Score.h"

namespace npc {

/// What to add to the face at one moment: lids and chest in [0, 1], angles in degrees.
struct IdlePose {
    double blink = 0.0, eyeYaw = 0.0, eyePitch = 0.0, chest = 0.0, headYaw = 0.0, headPitch = 0.0, headRoll = 0.0;
};

class IdleMotion {
public:
    explicit IdleMotion(std::uint32_t seed) : blinkRandom_(seed, 1), saccadeRandom_(seed, 2) {
        SeededRandom breath(seed, 3);
        breathPeriod_ = 3600 + breath.Below(801);
        breathOffset_ = breath.Below(breathPeriod_);
        SeededRandom sway(seed, 4);
        for (const auto& row : generated::kSway) {
            for (int i = 0; i < 2; ++i) {
                const int period = static_cast<int>(row[2 * i]) + sway.Below(static_cast<int>(row[2 * i + 1]));
                sines_.push_back({period, sway.Below(period), row[4 + i]});
            }
        }
    }

    IdlePose At(int ms) {
        Extend(ms);
        IdlePose pose;
        const auto begun = std::upper_bound(blinks_.begin(), blinks_.end(), ms);
        for (auto start = begun - std::min<std::ptrdiff_t>(2, begun - blinks_.begin()); start != begun; ++start) {
            const double since = ms - *start;
            pose.blink = std::max(pose.blink, Smooth(since / kCloseMs) - Smooth((since - kCloseMs - kHoldMs) / kOpenMs));
        }
        Saccade to, from;
        for (const Saccade& one : saccades_) {
            if (one.at > ms) break;
            from = to;
            to = one;
        }
        const double way = Smooth((ms - to.at) / kSaccadeMs);
        pose.eyeYaw = (from.yaw + way * (to.yaw - from.yaw)) / 1000.0;
        pose.eyePitch = (from.pitch + way * (to.pitch - from.pitch)) / 1000.0;
        pose.chest = 0.5 - 0.5 * std::cos(kTurn * ((ms + breathOffset_) % breathPeriod_) / breathPeriod_);
        pose.headYaw = Wave(0, ms) + Wave(1, ms);
        pose.headPitch = Wave(2, ms) + Wave(3, ms);
        pose.headRoll = Wave(4, ms) + Wave(5, ms);
        return pose;
    }

private:
    struct Saccade {
        int at = 0, yaw = 0, pitch = 0;
    };
    struct Sine {
        int period, offset;
        double amplitude;
    };
    static constexpr double kCloseMs = 65.0, kHoldMs = 35.0, kOpenMs = 140.0, kSaccadeMs = 50.0, kTurn = 2.0 * std::numbers::pi;

    void Extend(int ms) {
        const auto pick = [](SeededRandom& random, const auto& table) { return table[static_cast<std::size_t>(random.Below(static_cast<int>(table.size())))]; };
        while (blinks_.empty() || blinks_.back() <= ms) blinks_.push_back((blinks_.empty() ? 0 : blinks_.back()) + pick(blinkRandom_, generated::kBlinkGapMs));
        while (saccades_.empty() || saccades_.back().at <= ms) {
            const int at = (saccades_.empty() ? 0 : saccades_.back().at) + pick(saccadeRandom_, generated::kSaccadeGapMs);
            const int yaw = saccadeRandom_.Below(4001) - 2000;
            const int pitch = saccadeRandom_.Below(2401) - 1200;
            const int reach = saccadeRandom_.Below(8) == 0 ? 3 : 1;
            saccades_.push_back({at, yaw * reach, pitch * reach});
        }
    }

    double Wave(std::size_t index, int ms) const {
        const Sine& sine = sines_[index];
        return sine.amplitude * std::sin(kTurn * ((ms + sine.offset) % sine.period) / sine.period);
    }

    static double Smooth(double x) {
        const double t = std::clamp(x, 0.0, 1.0);
        return t * t * (3.0 - 2.0 * t);
    }

    SeededRandom blinkRandom_, saccadeRandom_;
    std::vector<int> blinks_;
    std::vector<Saccade> saccades_;
    std::vector<Sine> sines_;
    int breathPeriod_ = 1, breathOffset_ = 0;
};

/// Blinks and saccades on the face while no item sounds; an item's own track brings them while it does.
class IdleFace {
public:
    /// Idle life comes and goes within this time when an item ends or begins.
    static constexpr double kOwnFadeMs = 250.0;
    /// Weight 1 of an eyeLook channel is this rotation of the eye, degrees.
    static constexpr double kEyeRange = 28.0;

    explicit IdleFace(std::uint32_t seed) : motion_(seed) {}

    /// Add the idle life of session time `nowMs` to `pose`.
    void Step(double nowMs, bool sounding, const std::vector<std::string>& channels, std::vector<float>& pose) {
        const double way = std::max(0.0, nowMs - lastMs_) / kOwnFadeMs;
        own_ = std::clamp(own_ + (sounding ? -way : way), 0.0, 1.0);
        lastMs_ = nowMs;
        const IdlePose now = motion_.At(static_cast<int>(nowMs));
        const double yaw = own_ * now.eyeYaw / kEyeRange;
        const double pitch = own_ * now.eyePitch / kEyeRange;
        for (std::size_t c = 0; c < channels.size() && c < pose.size(); ++c) {
            const std::string& name = channels[c];
            if (name == "eyeBlinkLeft" || name == "eyeBlinkRight") pose[c] = std::max(pose[c], static_cast<float>(own_ * now.blink));
            else if (name == "eyeLookOutLeft" || name == "eyeLookInRight") Add(pose[c], yaw);
            else if (name == "eyeLookInLeft" || name == "eyeLookOutRight") Add(pose[c], -yaw);
            else if (name == "eyeLookUpLeft" || name == "eyeLookUpRight") Add(pose[c], pitch);
            else if (name == "eyeLookDownLeft" || name == "eyeLookDownRight") Add(pose[c], -pitch);
        }
    }

private:
    static void Add(float& weight, double amount) {
        if (amount > 0.0) weight = std::min(1.0f, weight + static_cast<float>(amount));
    }

    IdleMotion motion_;
    double own_ = 1.0;
    double lastMs_ = 0.0;
};

}  // namespace npc

// The binary frame of the wire: 16 bytes little-endian header (kind, flags, track, response ordinal, start sample), then PCM16 or
// blendshape weights. No exceptions: Decode returns a problem in words, or an empty string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace npc {

enum class FrameKind : std::uint8_t { OutputAudio = 1, Blendshapes = 2, InputAudio = 3 };

struct Frame {
    FrameKind kind = FrameKind::OutputAudio;
    bool last = false;
    int track = 0;
    std::uint32_t ordinal = 0;
    std::int64_t start = 0;
    std::vector<std::int16_t> pcm;      // output audio
    std::vector<std::uint8_t> weights;  // blendshapes: [count][channels], 0..255
    int count = 0;
    int channels = 0;
    int samplesPerFrame = 1;

    std::int64_t End() const { return start + static_cast<std::int64_t>(count) * samplesPerFrame; }
};

inline constexpr std::size_t kHeaderBytes = 16;

namespace detail {
inline std::uint64_t ReadLittle(const std::uint8_t* at, int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(at[i]) << (8 * i);
    return value;
}
}  // namespace detail

/// Decode a server frame into `frame`; returns what is wrong with it, or "".
inline std::string Decode(const std::uint8_t* bytes, std::size_t size, Frame& frame) {
    constexpr std::size_t shapeHeader = 8;
    if (size < kHeaderBytes) return "frame of " + std::to_string(size) + " bytes is shorter than its header";
    frame = Frame{};
    frame.kind = static_cast<FrameKind>(bytes[0]);
    frame.last = (bytes[1] & 1) != 0;
    frame.track = static_cast<int>(detail::ReadLittle(bytes + 2, 2));
    frame.ordinal = static_cast<std::uint32_t>(detail::ReadLittle(bytes + 4, 4));
    frame.start = static_cast<std::int64_t>(detail::ReadLittle(bytes + 8, 8));
    const std::uint8_t* body = bytes + kHeaderBytes;
    const std::size_t length = size - kHeaderBytes;
    if (frame.kind == FrameKind::OutputAudio) {
        if (length % 2 != 0) return "PCM16 payload of odd length";
        frame.pcm.resize(length / 2);
        for (std::size_t i = 0; i < frame.pcm.size(); ++i) frame.pcm[i] = static_cast<std::int16_t>(detail::ReadLittle(body + 2 * i, 2));
        return "";
    }
    if (frame.kind != FrameKind::Blendshapes) return "unknown frame kind " + std::to_string(bytes[0]);
    if (length < shapeHeader) return "blendshape frame is cut in its header";
    frame.count = static_cast<int>(detail::ReadLittle(body, 2));
    frame.channels = static_cast<int>(detail::ReadLittle(body + 2, 2));
    frame.samplesPerFrame = static_cast<int>(detail::ReadLittle(body + 4, 4));
    const std::size_t cells = static_cast<std::size_t>(frame.count) * static_cast<std::size_t>(frame.channels);
    if (length != shapeHeader + cells || frame.samplesPerFrame <= 0) return "blendshape frame is cut";
    frame.weights.assign(body + shapeHeader, body + shapeHeader + cells);
    return "";
}

/// Microphone audio from sample `start` of the session's input.
inline std::vector<std::uint8_t> EncodeInput(const std::int16_t* pcm, std::size_t count, std::int64_t start) {
    std::vector<std::uint8_t> bytes(kHeaderBytes + count * 2, 0);
    bytes[0] = static_cast<std::uint8_t>(FrameKind::InputAudio);
    for (int i = 0; i < 8; ++i) bytes[8 + i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(start) >> (8 * i));
    for (std::size_t i = 0; i < count; ++i) {
        const auto sample = static_cast<std::uint16_t>(pcm[i]);
        bytes[kHeaderBytes + 2 * i] = static_cast<std::uint8_t>(sample & 0xFF);
        bytes[kHeaderBytes + 2 * i + 1] = static_cast<std::uint8_t>(sample >> 8);
    }
    return bytes;
}

}  // namespace npc

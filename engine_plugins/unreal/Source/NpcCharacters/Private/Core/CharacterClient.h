// One conversation without socket, engine, clock or thread: bytes and events in, samples, cues, poses and messages out.
#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "JitterBuffer.h"
#include "Score.h"

namespace npc {

using Json = nlohmann::json;

/// What the engine side is told, on the thread that calls Receive or Step. Any of them may be empty.
struct CharacterEvents {
    std::function<void(const std::string& type, const Json& message)> onEvent;
    /// A game action the character takes: call CharacterClient::ActionResult when it is done.
    std::function<void(const std::string& callId, const std::string& name, const Json& arguments)> onAction;
    std::function<void(const std::string& callId, const std::string& name, bool undo)> onActionCancelled;
    std::function<void(const std::string& problem)> onProblem;
};

/// What a socket must do next: connect here, with these sub-protocols.
struct ConnectPlan {
    std::string url;
    std::vector<std::string> protocols;
};

/// One message for the socket: text, or binary.
struct Message {
    bool binary = false;
    std::string text;
    std::vector<std::uint8_t> bytes;
};

class CharacterClient {
public:
    /// Milliseconds between two playback reports.
    static constexpr double kReportEveryMs = 100.0;
    /// Messages kept until the server is known to have them; a second of 20 ms audio frames is 50.
    static constexpr std::size_t kKeptMessages = 1024;
    /// A cue on the input clock that is later than this is not worth showing.
    static constexpr int kLateMs = 500;
    /// An interrupted face is at rest after this long.
    static constexpr double kRestSeconds = 0.12;

    CharacterClient(std::string url, Json session, CharacterEvents events, std::string key = "", int rate = 24000);

    ConnectPlan Connect() const;
    void Opened();
    /// Milliseconds to wait before connecting again, or nothing when trying again cannot help. `random` is in [0, 1).
    std::optional<double> Closed(int code, double random);
    void ReceiveText(const std::string& text);
    void ReceiveBinary(const std::uint8_t* bytes, std::size_t size);
    /// Once per rendered frame: fills `due` and `pose`, and reports playback.
    void Step(double nowMs, double latencySeconds);

    /// The player's sound. While the socket is away it is dropped: it would arrive stale.
    void SendAudio(const std::int16_t* pcm, std::size_t count);
    void Say(const std::string& text);
    void ActionResult(const std::string& callId, const Json& output);
    void SceneUpdate(Json scene);
    /// Send any client event. While the socket is away it waits for the resume or the next session.
    void Send(const Json& message);

    std::deque<Message> outgoing;
    JitterBuffer audio;
    std::vector<Cue> due;
    std::vector<std::string> channels;  // names, in the order of `pose`; empty until the session is created
    std::vector<float> pose;
    std::uint32_t idleSeed = 0;
    std::int64_t seq = 0;
    double heardSample = 0.0;

private:
    struct Spoken {
        std::string responseId;
        std::string itemId;
        std::uint32_t ordinal = 0;
        CueQueue cues;
        BlendshapeTrack track;
    };

    void Forget();
    void Post(Message message);
    void TakeResumed(const Json& message);
    void TakeSession(const Json& session);
    void TakeResponse(const Json& response);
    void TakeItem(const Json& message);
    void TakeCues(const Json& message);
    void TakeOutput(const Json& message);
    void TakeCall(const Json& message);
    void Flush(Spoken& item);
    void ReportFinished();
    void Report(Spoken& item, const JitterBuffer::Status& status, double nowMs);
    void SendPlayback(const Spoken& item, std::int64_t played, const char* state);
    Spoken* OfResponse(const std::string& id);
    Spoken* OfOrdinal(std::uint32_t ordinal);
    void Problem(const std::string& text) const;

    std::string url_;
    std::string key_;
    Json session_;
    CharacterEvents events_;
    int rate_;
    std::list<Spoken> spoken_;
    std::set<std::uint32_t> stale_;
    std::deque<Message> kept_;
    std::int64_t sent_ = 0;
    std::string resumeToken_;
    bool away_ = false;  // from a lost socket to the next session, or to what the server says of our messages (npc.resumed)
    std::int64_t inputSamples_ = 0;
    CueQueue inputCues_;
    int attempt_ = 0;
    double lastReportMs_ = -std::numeric_limits<double>::infinity();
    std::uint32_t reported_ = 0;
    double flushedMs_ = -std::numeric_limits<double>::infinity();
    double lastStepMs_ = 0.0;
    std::vector<float> flushedPose_;
};

}  // namespace npc

#include "CharacterClient.h"

#include <cmath>
#include <utility>

namespace npc {
namespace {

// Ended, bad ticket, wrong version, replaced by another connection, abuse: trying again cannot help.
bool IsFinal(int code) {
    for (const int one : {1000, 4000, 4401, 4406, 4409, 4429}) {
        if (code == one) return true;
    }
    return false;
}

// The server no longer has the session: the next connection starts a new one.
constexpr int kSessionGone = 4404;

std::string Text(const Json& object, const char* name) {
    if (!object.is_object()) return "";
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

double Number(const Json& object, const char* name, double missing) {
    if (!object.is_object()) return missing;
    const auto found = object.find(name);
    return found != object.end() && found->is_number() ? found->get<double>() : missing;
}

const Json& Member(const Json& object, const char* name) {
    static const Json nothing;
    if (!object.is_object()) return nothing;
    const auto found = object.find(name);
    return found != object.end() ? *found : nothing;
}

}  // namespace

CharacterClient::CharacterClient(std::string url, Json session, CharacterEvents events, std::string key, int rate)
    : audio(rate), url_(std::move(url)), key_(std::move(key)), session_(session.is_object() ? std::move(session) : Json::object()),
      events_(std::move(events)), rate_(rate) {}

ConnectPlan CharacterClient::Connect() const {
    ConnectPlan plan{url_ + (url_.find('?') == std::string::npos ? "?" : "&") + "npc=1", {"realtime"}};
    if (!resumeToken_.empty()) {
        plan.url += "&after=" + std::to_string(seq);
        plan.protocols.push_back("npc-resume." + resumeToken_);
    }
    if (!key_.empty()) plan.protocols.push_back("openai-insecure-api-key." + key_);
    return plan;
}

void CharacterClient::Opened() {
    attempt_ = 0;
    if (!resumeToken_.empty()) return;  // what goes out before the server has said what arrived would go out twice
    const std::deque<Message> early = std::exchange(outgoing, {});
    away_ = false;
    sent_ = inputSamples_ = 0;
    kept_.clear();
    Json wanted = session_;
    wanted["type"] = "realtime";
    if (!wanted.contains("npc")) wanted["npc"] = Json::object();
    Send({{"type", "session.update"}, {"session", wanted}});
    for (const Message& message : early) {
        if (!message.binary) Post(message);
    }
}

std::optional<double> CharacterClient::Closed(int code, double random) {
    outgoing.clear();  // all of it is kept, and goes out again after a resume
    away_ = true;
    if (IsFinal(code)) return std::nullopt;
    if (code == kSessionGone) Forget();
    const double delay = std::min(5000.0, 200.0 * std::pow(2.0, std::min(attempt_, 20))) * (1.0 - 0.25 * random);
    ++attempt_;
    return delay;
}

// The next session counts its messages, samples and replies from the start.
void CharacterClient::Forget() {
    resumeToken_.clear();
    seq = inputSamples_ = 0;
    inputCues_ = CueQueue();
    spoken_.clear();
    stale_.clear();
    reported_ = 0;
    audio.Clear();
}

void CharacterClient::ReceiveText(const std::string& text) {
    const Json message = Json::parse(text, nullptr, false);
    if (!message.is_object()) {
        Problem("not a JSON object: " + text.substr(0, 60));
        return;
    }
    if (message.contains("npc_seq")) {
        const auto number = static_cast<std::int64_t>(Number(message, "npc_seq", 0));
        if (number <= seq) return;
        seq = number;
    }
    const std::string type = Text(message, "type");
    if (type == "session.created" || type == "session.updated") TakeSession(Member(message, "session"));
    else if (type == "npc.resumed") TakeResumed(message);
    else if (type == "response.created") TakeResponse(Member(message, "response"));
    else if (type == "response.output_item.added") TakeItem(message);
    else if (type == "npc.cues") TakeCues(message);
    else if (type == "npc.output") TakeOutput(message);
    else if (type == "response.function_call_arguments.done") TakeCall(message);
    else if (type == "npc.action.cancelled") {
        const Json& undo = Member(message, "undo");
        if (events_.onActionCancelled) events_.onActionCancelled(Text(message, "call_id"), Text(message, "name"), undo.is_boolean() && undo.get<bool>());
    } else if (type == "error") Problem(Text(Member(message, "error"), "message"));
    if (events_.onEvent) events_.onEvent(type, message);
}

void CharacterClient::ReceiveBinary(const std::uint8_t* bytes, std::size_t size) {
    ++seq;  // a binary frame takes the next number without carrying it
    Frame frame;
    const std::string problem = Decode(bytes, size, frame);
    if (!problem.empty()) {
        Problem(problem);
        return;
    }
    if (stale_.count(frame.ordinal) != 0) return;
    if (frame.kind == FrameKind::OutputAudio) {
        if (!audio.Push(frame)) Problem("audio at sample " + std::to_string(frame.start) + " is too far ahead of its item");
        return;
    }
    Spoken* item = OfOrdinal(frame.ordinal);
    if (item != nullptr && !item->track.Add(frame)) Problem("blendshape block with another number of channels");
}

void CharacterClient::Step(double nowMs, double latencySeconds) {
    due.clear();
    inputCues_.Due(inputSamples_, due);
    const auto late = [this](const Cue& cue) { return inputSamples_ - cue.at > static_cast<std::int64_t>(rate_) * kLateMs / 1000; };
    due.erase(std::remove_if(due.begin(), due.end(), late), due.end());
    ReportFinished();
    const JitterBuffer::Status status = audio.Now();
    heardSample = static_cast<double>(status.played) - latencySeconds * rate_;
    lastStepMs_ = nowMs;
    Spoken* item = OfOrdinal(status.ordinal);
    if (item != nullptr && stale_.count(item->ordinal) == 0) {
        item->cues.Due(static_cast<std::int64_t>(heardSample), due);
        item->track.Sample(heardSample, rate_, pose);
        Report(*item, status, nowMs);
        return;
    }
    const double keep = std::max(0.0, 1.0 - (nowMs - flushedMs_) / (1000.0 * kRestSeconds));
    for (std::size_t c = 0; c < pose.size(); ++c) pose[c] = c < flushedPose_.size() ? static_cast<float>(flushedPose_[c] * keep) : 0.0f;
}

void CharacterClient::SendAudio(const std::int16_t* pcm, std::size_t count) {
    if (away_) return;
    Post({true, "", EncodeInput(pcm, count, inputSamples_)});
    inputSamples_ += static_cast<std::int64_t>(count);
}

void CharacterClient::Say(const std::string& text) {
    const Json content = Json::array({{{"type", "input_text"}, {"text", text}}});
    Send({{"type", "conversation.item.create"}, {"item", {{"type", "message"}, {"role", "user"}, {"content", content}}}});
    Send({{"type", "response.create"}});
}

void CharacterClient::ActionResult(const std::string& callId, const Json& output) {
    const Json item = {{"type", "function_call_output"}, {"call_id", callId}, {"output", output.dump()}};
    Send({{"type", "conversation.item.create"}, {"item", item}});
}

void CharacterClient::SceneUpdate(Json scene) {
    scene["type"] = "npc.scene.update";
    Send(scene);
}

void CharacterClient::Send(const Json& message) { Post({false, message.dump(), {}}); }

void CharacterClient::Post(Message message) {
    ++sent_;
    kept_.push_back(message);
    if (kept_.size() > kKeptMessages) kept_.pop_front();
    if (!away_ || resumeToken_.empty()) outgoing.push_back(std::move(message));
}

// First on a resumed socket: the next token, and how many of our messages arrived; the rest goes out again.
void CharacterClient::TakeResumed(const Json& message) {
    resumeToken_ = Text(message, "token");
    away_ = false;
    const auto received = static_cast<std::int64_t>(Number(message, "received", 0));
    const auto lost = std::clamp<std::int64_t>(sent_ - received, 0, static_cast<std::int64_t>(kept_.size()));
    outgoing.assign(kept_.end() - lost, kept_.end());
}

void CharacterClient::TakeSession(const Json& session) {
    const Json& npc = Member(session, "npc");
    const std::string token = Text(Member(npc, "resume"), "token");
    if (!token.empty()) resumeToken_ = token;
    const Json& capabilities = Member(npc, "capabilities");
    const Json& names = Member(capabilities, "blendshapes");
    if (!names.is_array()) return;
    channels.clear();
    for (const Json& name : names) channels.push_back(name.is_string() ? name.get<std::string>() : "");
    pose.assign(channels.size(), 0.0f);
    idleSeed = static_cast<std::uint32_t>(Number(capabilities, "idle_seed", 0));
}

void CharacterClient::TakeResponse(const Json& response) {
    const Json& npc = Member(response, "npc");
    if (!npc.contains("ordinal")) return;
    Spoken item;
    item.responseId = Text(response, "id");
    item.ordinal = static_cast<std::uint32_t>(Number(npc, "ordinal", 0));
    spoken_.push_back(std::move(item));
    if (spoken_.size() > 8) spoken_.pop_front();
}

void CharacterClient::TakeItem(const Json& message) {
    Spoken* item = OfResponse(Text(message, "response_id"));
    const Json& added = Member(message, "item");
    if (item != nullptr && item->itemId.empty() && Text(added, "type") == "message") item->itemId = Text(added, "id");
}

void CharacterClient::TakeCues(const Json& message) {
    const bool ofInput = Text(message, "clock") == "input";
    Spoken* item = OfResponse(Text(message, "response_id"));
    if (!ofInput && (item == nullptr || stale_.count(item->ordinal) != 0)) return;
    const Json& entries = Member(message, "cues");
    if (!entries.is_array()) return;
    for (const Json& entry : entries) {
        const double at = Number(entry, "at", 0);
        Cue cue{Text(entry, "kind"), Text(entry, "name"), static_cast<std::int64_t>(at), static_cast<std::int64_t>(Number(entry, "until", at)),
                static_cast<float>(Number(entry, "weight", 1.0)), Text(entry, "target"), Text(entry, "call_id")};
        if (ofInput) inputCues_.Add(std::move(cue));
        else item->cues.Add(std::move(cue));
    }
}

void CharacterClient::TakeOutput(const Json& message) {
    const std::string action = Text(message, "action");
    if (action == "pause") audio.Pause();
    else if (action == "duck") audio.Duck(static_cast<float>(Number(message, "gain", 0.2)));
    else if (action == "resume") audio.Resume();
    else if (action == "flush") {
        Spoken* item = OfResponse(Text(message, "response_id"));
        if (item != nullptr) Flush(*item);
    }
}

void CharacterClient::TakeCall(const Json& message) {
    if (!events_.onAction) return;
    const Json arguments = Json::parse(Text(message, "arguments"), nullptr, false);
    events_.onAction(Text(message, "call_id"), Text(message, "name"), arguments.is_object() ? arguments : Json::object());
}

void CharacterClient::Flush(Spoken& item) {
    const JitterBuffer::Status status = audio.Now();
    const std::int64_t heard = status.ordinal == item.ordinal ? status.played : 0;
    stale_.insert(item.ordinal);
    audio.Flush(item.ordinal);
    flushedPose_ = pose;
    flushedMs_ = lastStepMs_;
    if (!item.itemId.empty()) SendPlayback(item, heard, "stopped");
}

void CharacterClient::ReportFinished() {
    for (const auto& [ordinal, played] : audio.TakeFinished()) {
        const Spoken* item = OfOrdinal(ordinal);
        if (item != nullptr && !item->itemId.empty()) SendPlayback(*item, played, "finished");
    }
}

void CharacterClient::Report(Spoken& item, const JitterBuffer::Status& status, double nowMs) {
    // Idle, or priming the next item: this one has ended and was reported.
    if (item.itemId.empty() || status.played == 0 || status.state == PlayState::Idle || status.state == PlayState::Priming) return;
    if (item.ordinal == reported_ && nowMs - lastReportMs_ < kReportEveryMs) return;
    reported_ = item.ordinal;
    lastReportMs_ = nowMs;
    SendPlayback(item, status.played, "playing");
}

void CharacterClient::SendPlayback(const Spoken& item, std::int64_t played, const char* state) {
    Send({{"type", "npc.playback"}, {"response_id", item.responseId}, {"item_id", item.itemId}, {"played_samples", played}, {"state", state}});
}

CharacterClient::Spoken* CharacterClient::OfResponse(const std::string& id) {
    for (Spoken& item : spoken_) {
        if (item.responseId == id) return &item;
    }
    return nullptr;
}

CharacterClient::Spoken* CharacterClient::OfOrdinal(std::uint32_t ordinal) {
    for (Spoken& item : spoken_) {
        if (item.ordinal == ordinal) return &item;
    }
    return nullptr;
}

void CharacterClient::Problem(const std::string& text) const {
    if (events_.onProblem) events_.onProblem(text.empty() ? "error" : text);
}

}  // namespace npc

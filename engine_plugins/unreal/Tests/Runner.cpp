// Plays the conformance vectors against the C++ core: runner FOLDER. Prints what failed; exit status 1 if anything did.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "CharacterClient.h"
#include "IdleMotion.h"

namespace {

using npc::Json;

const char* NameOf(npc::PlayState state) {
    switch (state) {
        case npc::PlayState::Idle: return "idle";
        case npc::PlayState::Priming: return "priming";
        case npc::PlayState::Playing: return "playing";
        case npc::PlayState::Starved: return "starved";
        case npc::PlayState::Paused: return "paused";
    }
    return "";
}

class Runner {
public:
    explicit Runner(std::string file) : file_(std::move(file)) {}

    int Play(const Json& vector) {
        npc::CharacterEvents events;
        events.onProblem = [this](const std::string&) { ++problems_; };
        client_ = std::make_unique<npc::CharacterClient>("ws://host/v1/realtime?model=a", Json::object(), events, "", vector["rate"].get<int>());
        int index = 0;
        for (const Json& step : vector["steps"]) {
            where_ = file_ + ": step " + std::to_string(index++) + " " + step["do"].get<std::string>();
            client_->outgoing.clear();
            problems_ = 0;
            Do(step);
            if (step.contains("error")) Same("error", step["error"].get<bool>(), problems_ > 0);
            if (step.contains("sent")) Sent(step["sent"]);
            if (step.contains("heard")) Heard(step["heard"]);
        }
        return failures_;
    }

private:
    void Do(const Json& step) {
        const std::string what = step["do"];
        if (what == "connect") Connect(step);
        else if (what == "opened") client_->Opened();
        else if (what == "text") client_->ReceiveText(step["event"].dump());
        else if (what == "binary") Binary(step["hex"]);
        else if (what == "pull") Pull(step);
        else if (what == "step") Step(step);
        else if (what == "closed") Closed(step);
        else if (what == "hear") Hear(step["samples"]);
        else if (what == "say") client_->Say(step["text"]);
        else if (what == "idle") Idle(step);
        else if (what == "life") Life(step);
        else if (what == "random") Random(step);
        else Fail("unknown step");
    }

    void Connect(const Json& step) {
        const npc::ConnectPlan plan = client_->Connect();
        for (const auto& part : step["url_has"]) Same("url has " + part.get<std::string>(), true, plan.url.find(part.get<std::string>()) != std::string::npos);
        if (step.contains("url_lacks")) {
            for (const auto& part : step["url_lacks"]) Same("url has " + part.get<std::string>(), false, plan.url.find(part.get<std::string>()) != std::string::npos);
        }
        Same("protocols", step["protocols"].dump(), Json(plan.protocols).dump());
    }

    void Binary(const std::string& hex) {
        std::vector<std::uint8_t> bytes(hex.size() / 2);
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
        client_->ReceiveBinary(bytes.data(), bytes.size());
    }

    void Hear(std::size_t samples) {
        const std::vector<std::int16_t> silence(samples, 0);
        client_->SendAudio(silence.data(), silence.size());
    }

    void Pull(const Json& step) {
        std::vector<std::int16_t> output(step["samples"].get<std::size_t>());
        client_->audio.Pull(output.data(), static_cast<int>(output.size()));
        const auto status = client_->audio.Now();
        if (step.contains("silent")) Same("silent", true, std::all_of(output.begin(), output.end(), [](auto sample) { return sample == 0; }));
        if (step.contains("first")) Same("first", step["first"].get<int>(), static_cast<int>(output.front()));
        if (step.contains("last")) Same("last", step["last"].get<int>(), static_cast<int>(output.back()));
        if (step.contains("played")) Same("played", step["played"].get<std::int64_t>(), status.played);
        if (step.contains("state")) Same("state", step["state"].get<std::string>(), std::string(NameOf(status.state)));
    }

    void Step(const Json& step) {
        client_->Step(step["ms"].get<double>(), step["latency"].get<double>());
        if (step.contains("cues")) {
            Json names = Json::array();
            for (const auto& cue : client_->due) names.push_back(cue.name);
            Same("cues", step["cues"].dump(), names.dump());
        }
        if (step.contains("sample")) Same("sample", step["sample"].get<double>(), client_->heardSample);
        if (step.contains("ordinal")) Same("ordinal", step["ordinal"].get<std::uint32_t>(), client_->audio.Now().ordinal);
        if (!step.contains("weights")) return;
        for (const auto& [name, wanted] : step["weights"].items()) {
            const auto place = std::find(client_->channels.begin(), client_->channels.end(), name) - client_->channels.begin();
            const float got = client_->pose[static_cast<std::size_t>(place)];
            if (std::abs(got - wanted.get<float>()) > 0.005f) Fail(name + " is " + std::to_string(got) + ", expected " + wanted.dump());
        }
    }

    void Closed(const Json& step) {
        const auto delay = client_->Closed(step["code"].get<int>(), 0.0);
        if (step.contains("final")) Same("final", true, !delay.has_value());
        else Same("retry_ms", step["retry_ms"].get<double>(), delay.value_or(-1.0));
    }

    void Life(const Json& step) {
        npc::IdleFace face(step["seed"].get<std::uint32_t>());
        const auto channels = step["channels"].get<std::vector<std::string>>();
        for (const Json& frame : step["frames"]) {
            std::vector<float> pose(channels.size(), 0.0f);
            face.Step(frame["ms"].get<double>(), frame["sounding"].get<bool>(), channels, pose);
            for (std::size_t c = 0; c < channels.size(); ++c) {
                const double wanted = frame["weights"][c].get<double>();
                if (std::abs(wanted - pose[c]) > 1e-4) Fail(channels[c] + " is " + std::to_string(pose[c]) + ", expected " + std::to_string(wanted));
            }
        }
    }

    void Idle(const Json& step) {
        const npc::IdlePose pose = npc::IdleMotion(step["seed"].get<std::uint32_t>()).At(step["ms"].get<int>());
        const std::pair<const char*, double> got[] = {{"blink", pose.blink}, {"eye_yaw", pose.eyeYaw}, {"eye_pitch", pose.eyePitch}, {"chest", pose.chest},
                                                      {"head_yaw", pose.headYaw}, {"head_pitch", pose.headPitch}, {"head_roll", pose.headRoll}};
        for (const auto& [name, value] : got) {
            const double wanted = step["pose"][name].get<double>();
            if (std::abs(wanted - value) > 1e-4) Fail(std::string(name) + " is " + std::to_string(value) + ", expected " + std::to_string(wanted));
        }
    }

    void Random(const Json& step) {
        npc::SeededRandom source(step["seed"].get<std::uint32_t>(), step["stream"].get<std::uint32_t>());
        for (const auto& wanted : step["integers"]) Same("integer", wanted.get<std::uint32_t>(), source.Next());
    }

    void Sent(const Json& wanted) {
        std::vector<Json> sent;
        for (const auto& message : client_->outgoing) {
            if (!message.binary) sent.push_back(Json::parse(message.text));
        }
        Same("messages sent", wanted.size(), sent.size());
        for (std::size_t i = 0; i < std::min(wanted.size(), sent.size()); ++i) {
            for (const auto& [field, value] : wanted[i].items()) {
                if (sent[i].value(field, Json()) != value) Fail("sent " + field + " is " + sent[i].value(field, Json()).dump() + ", expected " + value.dump());
            }
        }
    }

    void Heard(const Json& wanted) {
        Json starts = Json::array();
        for (const auto& message : client_->outgoing) {
            if (message.binary) starts.push_back(npc::detail::ReadLittle(message.bytes.data() + 8, 8));
        }
        Same("audio sent from", wanted.dump(), starts.dump());
    }

    template <class T>
    void Same(const std::string& what, const T& wanted, const T& got) {
        if (wanted == got) return;
        std::cout << where_ << ": " << what << " is " << got << ", expected " << wanted << "\n";
        ++failures_;
    }

    void Fail(const std::string& what) {
        std::cout << where_ << ": " << what << "\n";
        ++failures_;
    }

    std::string file_;
    std::string where_;
    std::unique_ptr<npc::CharacterClient> client_;
    int problems_ = 0;
    int failures_ = 0;
};

}  // namespace

int main(int, char** arguments) {
    int passed = 0;
    int failed = 0;
    for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) {
        if (entry.path().extension() != ".json") continue;
        std::ifstream file(entry.path());
        (Runner(entry.path().filename().string()).Play(Json::parse(file)) == 0 ? passed : failed) += 1;
    }
    std::cout << passed << " passed, " << failed << " failed\n";
    return failed == 0 && passed > 0 ? 0 : 1;
}

// A session with a live server over Boost.Beast: livetalk HOST PORT TARGET SPOKEN.pcm ACTION_TEXT. Says the recording (PCM16, 24 kHz),
// plays the answer on a virtual loudspeaker, asks by typing for an action and answers it, then cuts in. Prints one JSON object.
#include <algorithm>
#include <utility>  // before Boost 1.74, which uses std::exchange without it

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <thread>

#include "CharacterClient.h"

namespace {

namespace beast = boost::beast;
using Tcp = boost::asio::ip::tcp;
constexpr int kRate = 24000;
constexpr double kPlayerSeconds = 0.5;  // what a quick player needs before answering
constexpr int kBlock = kRate / 50;

// A blocking socket read by its own thread; what arrives is polled.
class Link {
public:
    Link(const std::string& host, const std::string& port, const npc::ConnectPlan& plan) : socket_(context_) {
        boost::asio::connect(socket_.next_layer(), Tcp::resolver(context_).resolve(host, port));
        std::string protocols;
        for (const std::string& protocol : plan.protocols) protocols += (protocols.empty() ? "" : ", ") + protocol;
        socket_.set_option(beast::websocket::stream_base::decorator(
            [protocols](beast::websocket::request_type& request) { request.set(beast::http::field::sec_websocket_protocol, protocols); }));
        socket_.handshake(host + ":" + port, plan.url);
        reader_ = std::thread([this] { Read(); });
    }

    ~Link() {
        beast::error_code ignored;
        socket_.next_layer().shutdown(Tcp::socket::shutdown_both, ignored);
        reader_.join();
    }

    void Move(npc::CharacterClient& client) {
        std::vector<npc::Message> arrived;
        {
            std::lock_guard<std::mutex> hold(gate_);
            arrived.swap(arrived_);
        }
        for (const npc::Message& message : arrived) {
            if (message.binary) client.ReceiveBinary(message.bytes.data(), message.bytes.size());
            else client.ReceiveText(message.text);
        }
        while (!client.outgoing.empty()) {
            const npc::Message message = std::move(client.outgoing.front());
            client.outgoing.pop_front();
            socket_.binary(message.binary);
            if (message.binary) socket_.write(boost::asio::buffer(message.bytes));
            else socket_.write(boost::asio::buffer(message.text));
        }
    }

private:
    void Read() {
        beast::error_code error;
        while (true) {
            beast::flat_buffer buffer;
            socket_.read(buffer, error);
            if (error) return;
            npc::Message message;
            message.binary = socket_.got_binary();
            const auto* data = static_cast<const char*>(buffer.data().data());
            if (message.binary) message.bytes.assign(data, data + buffer.size());
            else message.text.assign(data, data + buffer.size());
            std::lock_guard<std::mutex> hold(gate_);
            arrived_.push_back(std::move(message));
        }
    }

    boost::asio::io_context context_;
    beast::websocket::stream<Tcp::socket> socket_;
    std::thread reader_;
    std::mutex gate_;
    std::vector<npc::Message> arrived_;
};

class Talk {
public:
    Talk(const std::string& host, const std::string& port, const std::string& target)
        : client_(target, Session(), Events(), "", kRate), link_(host, port, client_.Connect()) {
        client_.Opened();
    }

    npc::Json Run(const std::vector<std::int16_t>& spoken, const std::string& actionText) {
        Until([&] { return !client_.channels.empty(); }, 10);
        Until([&] { return completed_ >= 1 && Idle(); }, 60);  // the greeting, which waits until the character is loaded
        const std::int64_t greeting = voiced_;
        Speak(spoken);
        Until([&] { return completed_ >= 2 && Idle(); }, 30);
        const std::int64_t voicedTurn = voiced_ - greeting;
        Until([] { return false; }, kPlayerSeconds);
        client_.Say(actionText);
        Until([&] { return completed_ >= 3 && !actions_.empty() && Idle(); }, 30);
        Until([] { return false; }, kPlayerSeconds);
        client_.Say("Tell me everything you know about this place.");
        Until([&] { return client_.audio.Now().state == npc::PlayState::Playing && client_.audio.Now().played > kRate / 2; }, 30);
        client_.Send({{"type", "response.cancel"}});
        Until([&] { return status_ == "cancelled"; }, 10);
        Until([] { return false; }, 0.16);
        const float mouth = client_.pose.empty() ? 1.0f : *std::max_element(client_.pose.begin(), client_.pose.end());
        return {{"heard", heard_}, {"words", words_}, {"voiced_samples", voicedTurn}, {"widest_jaw", widestJaw_}, {"actions", actions_},
                {"problems", problems_}, {"cancel_status", status_}, {"after_cut", Idle() ? "Idle" : "sounding"},
                {"mouth_after_cut", mouth}};
    }

private:
    static npc::Json Session() {
        return {{"npc", {{"transport", {{"audio", "binary"}, {"animation", "binary"}}}, {"cues", {{"blendshapes", "arkit52"}}}, {"player", {{"id", "cpp"}}}}}};
    }

    npc::CharacterEvents Events() {
        npc::CharacterEvents events;
        events.onEvent = [this](const std::string& type, const npc::Json& message) {
            if (type == "conversation.item.input_audio_transcription.completed") heard_ += message.value("transcript", "") + " ";
            if (type != "response.done") return;
            status_ = message["response"].value("status", "");
            if (status_ == "completed") ++completed_;
        };
        events.onAction = [this](const std::string& callId, const std::string& name, const npc::Json& arguments) {
            actions_.push_back({{"name", name}, {"arguments", arguments}});
            client_.ActionResult(callId, {{"ok", true}});
        };
        events.onProblem = [this](const std::string& problem) { problems_.push_back(problem); };
        return events;
    }

    bool Idle() const { return client_.audio.Now().state == npc::PlayState::Idle; }

    void Speak(const std::vector<std::int16_t>& spoken) {
        for (std::size_t at = 0; at + kBlock <= spoken.size(); at += kBlock) {
            client_.SendAudio(spoken.data() + at, kBlock);
            Tick();
        }
        const std::vector<std::int16_t> silence(kBlock, 0);
        for (int i = 0; i < 100; ++i) {
            client_.SendAudio(silence.data(), kBlock);
            Tick();
        }
    }

    template <class Condition>
    void Until(Condition condition, double seconds) {
        const double end = nowMs_ + seconds * 1000.0;
        while (!condition() && nowMs_ < end) Tick();
    }

    // 20 ms of the virtual loudspeaker, in real time.
    void Tick() {
        std::int16_t output[kBlock];
        link_.Move(client_);
        voiced_ += client_.audio.Pull(output, kBlock);
        client_.Step(nowMs_, 0.0);
        for (std::size_t c = 0; c < client_.channels.size(); ++c) {
            if (client_.channels[c] == "jawOpen") widestJaw_ = std::max(widestJaw_, client_.pose[c]);
        }
        for (const npc::Cue& cue : client_.due) {
            if (cue.kind == "word") words_ += cue.name + " ";
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        nowMs_ += 20.0;
    }

    npc::CharacterClient client_;
    Link link_;
    std::string heard_, words_, status_;
    npc::Json actions_ = npc::Json::array(), problems_ = npc::Json::array();
    double nowMs_ = 0.0;
    std::int64_t voiced_ = 0;
    float widestJaw_ = 0.0f;
    int completed_ = 0;
};

}  // namespace

int main(int, char** arguments) {
    std::ifstream file(arguments[4], std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::vector<std::int16_t> spoken(bytes.size() / 2);
    std::copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(spoken.size() * 2), reinterpret_cast<char*>(spoken.data()));
    Talk talk(arguments[1], arguments[2], arguments[3]);
    std::cout << talk.Run(spoken, arguments[5]).dump() << "\n";
    return 0;
}

// The engine-free client beside what the component keeps for it; hidden from headers that Unreal's header tool reads.
#pragma once

#include "AudioCaptureCore.h"
#include "Core/CharacterClient.h"
#include "Core/IdleMotion.h"
#include "CoreMinimal.h"

struct FNpcConversation {
    static constexpr int32 Rate = 24000;
    static constexpr int32 BlockSamples = Rate / 50;

    FNpcConversation(const std::string& Url, npc::Json Session, npc::CharacterEvents Events, const std::string& Key)
        : Client(Url, std::move(Session), std::move(Events), Key, Rate) {}

    npc::CharacterClient Client;
    std::optional<npc::IdleFace> Idle;  // once the session has told its seed
    std::uint32_t IdleSeed = 0;
    std::vector<float> Shown;           // the client's pose with the idle life on it
    Audio::FAudioCapture Capture;
    FCriticalSection MicrophoneGate;
    std::vector<std::int16_t> Microphone;  // captured and not yet sent, at Rate; guarded by MicrophoneGate
    double Phase = 0.0;
    float Last = 0.0f;

    /// What the face shows at session time `NowMs`.
    void Show(double NowMs) {
        if (!Idle || IdleSeed != Client.idleSeed) Idle.emplace(IdleSeed = Client.idleSeed);
        Shown = Client.pose;
        Idle->Step(NowMs, Client.audio.Now().state != npc::PlayState::Idle, Client.channels, Shown);
    }

    /// From the capture thread: mix to mono, resample, keep at most a second.
    void Captured(const float* Samples, int32 Frames, int32 Channels, int32 DeviceRate) {
        FScopeLock Hold(&MicrophoneGate);
        const double Step = static_cast<double>(DeviceRate) / Rate;
        for (int32 Frame = 0; Frame < Frames; ++Frame) {
            float Value = 0.0f;
            for (int32 C = 0; C < Channels; ++C) Value += Samples[Frame * Channels + C] / Channels;
            Phase += 1.0;
            while (Phase >= Step) {
                Phase -= Step;
                const float Mixed = Last + (Value - Last) * static_cast<float>(1.0 - FMath::Min(1.0, Phase));
                Microphone.push_back(static_cast<std::int16_t>(FMath::Clamp(Mixed, -1.0f, 1.0f) * 32767.0f));
            }
            Last = Value;
        }
        if (Microphone.size() > Rate) Microphone.erase(Microphone.begin(), Microphone.end() - Rate);
    }

    /// On the game thread: send whole 20 ms blocks, or drop what was captured while not listening.
    void SendMicrophone(bool bListening) {
        FScopeLock Hold(&MicrophoneGate);
        std::size_t At = 0;
        for (; At + BlockSamples <= Microphone.size(); At += BlockSamples) {
            if (bListening) Client.SendAudio(Microphone.data() + At, BlockSamples);
        }
        Microphone.erase(Microphone.begin(), Microphone.begin() + static_cast<std::ptrdiff_t>(At));
    }
};

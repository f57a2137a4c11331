#include "NpcCharacterComponent.h"

#include "Components/AudioComponent.h"
#include "Components/SkeletalMeshComponent.h"
#include "Engine/SkeletalMesh.h"
#include "GameFramework/Actor.h"
#include "IWebSocket.h"
#include "NpcConversation.h"
#include "NpcCurveNames.h"
#include "NpcLiveLinkSource.h"
#include "Sound/SoundWaveProcedural.h"
#include "WebSocketsModule.h"

namespace {

std::string Utf8(const FString& Text) { return std::string(TCHAR_TO_UTF8(*Text)); }
FString Wide(const std::string& Text) { return FString(UTF8_TO_TCHAR(Text.c_str())); }

/// Audio kept ahead of the device: two video frames at 30 fps and some room.
constexpr int32 AheadSamples = FNpcConversation::Rate / 10;

}  // namespace

UNpcCharacterComponent::UNpcCharacterComponent() { PrimaryComponentTick.bCanEverTick = true; }

UNpcCharacterComponent::~UNpcCharacterComponent() = default;

void UNpcCharacterComponent::BeginPlay() {
    Super::BeginPlay();
    Face = GetOwner()->FindComponentByClass<USkeletalMeshComponent>();
    StartVoice();
    if (bConnectOnBeginPlay) Connect();
}

void UNpcCharacterComponent::EndPlay(EEndPlayReason::Type Reason) {
    Disconnect();
    // The audio thread must not call a component that is gone.
    Voice->Stop();
    Wave->OnSoundWaveProceduralUnderflow.Unbind();
    Super::EndPlay(Reason);
}

void UNpcCharacterComponent::Connect() {
    Disconnect();
    npc::Json Session = {{"npc",
                          {{"transport", {{"audio", "binary"}, {"animation", "binary"}, {"lead_ms", 200}}},
                           {"cues", {{"visemes", "oculus15"}, {"blendshapes", "arkit52"}, {"fps", 60}}},
                           {"player", {{"id", Utf8(PlayerId)}}}}}};
    npc::CharacterEvents Events;
    Events.onEvent = [this](const std::string& Type, const npc::Json& Message) {
        if (Type == "response.created") Caption.Empty();
        if (Type == "conversation.item.input_audio_transcription.completed") OnHeard.Broadcast(Wide(Message.value("transcript", "")));
    };
    Events.onAction = [this](const std::string& CallId, const std::string& Name, const npc::Json& Arguments) {
        OnAction.Broadcast(Wide(CallId), Wide(Name), Wide(Arguments.dump()));
    };
    Events.onActionCancelled = [this](const std::string& CallId, const std::string&, bool bUndo) { OnActionCancelled.Broadcast(Wide(CallId), bUndo); };
    Events.onProblem = [this](const std::string& Problem) {
        UE_LOG(LogTemp, Warning, TEXT("NPC %s: %s"), *Character, *Wide(Problem));
        OnProblem.Broadcast(Wide(Problem));
    };
    const std::string Url = Utf8(Server) + "/v1/realtime?model=" + Utf8(Character);
    {
        FScopeLock Hold(&VoiceGate);
        Conversation = MakeUnique<FNpcConversation>(Url, Session, Events, Utf8(Key));
    }
    Curves.Reset();
    Began = FPlatformTime::Seconds();
    StartMicrophone();
    OpenSocket();
}

void UNpcCharacterComponent::Disconnect() {
    if (Conversation) Conversation->Capture.AbortStream();
    DropSocket();
    {
        FScopeLock Hold(&VoiceGate);
        Conversation.Reset();
    }
    if (LiveLink) LiveLink->Close();
    LiveLink.Reset();
    State = TEXT("off");
    RetryAt = -1.0;
}

// The lambdas hold this component, so none of them may outlive the socket's use.
void UNpcCharacterComponent::DropSocket() {
    if (!Socket) return;
    Socket->OnConnected().Clear();
    Socket->OnConnectionError().Clear();
    Socket->OnClosed().Clear();
    Socket->OnMessage().Clear();
    Socket->OnBinaryMessage().Clear();
    Socket->Close();
    Socket.Reset();
}

void UNpcCharacterComponent::OpenSocket() {
    DropSocket();
    const npc::ConnectPlan Plan = Conversation->Client.Connect();
    TArray<FString> Protocols;
    for (const std::string& Protocol : Plan.protocols) Protocols.Add(Wide(Protocol));
    State = TEXT("connecting");
    Incoming.Reset();
    Socket = FWebSocketsModule::Get().CreateWebSocket(Wide(Plan.url), Protocols);
    Socket->OnConnected().AddLambda([this]() {
        State = TEXT("open");
        Conversation->Client.Opened();
        Flush();
    });
    Socket->OnMessage().AddLambda([this](const FString& Text) { Conversation->Client.ReceiveText(Utf8(Text)); });
    Socket->OnBinaryMessage().AddLambda([this](const void* Data, SIZE_T Size, bool bIsLastFragment) {
        Incoming.Append(static_cast<const uint8*>(Data), static_cast<int32>(Size));
        if (!bIsLastFragment) return;
        Conversation->Client.ReceiveBinary(Incoming.GetData(), static_cast<std::size_t>(Incoming.Num()));
        Incoming.Reset();
    });
    Socket->OnConnectionError().AddLambda([this](const FString&) { Lost(1006); });
    Socket->OnClosed().AddLambda([this](int32 Code, const FString&, bool) { Lost(Code); });
    Socket->Connect();
}

void UNpcCharacterComponent::Lost(int32 Code) {
    if (!Conversation) return;
    const auto Delay = Conversation->Client.Closed(Code, FMath::FRand());
    State = Delay ? TEXT("waiting") : TEXT("over");
    RetryAt = Delay ? FPlatformTime::Seconds() + *Delay / 1000.0 : -1.0;
}

void UNpcCharacterComponent::TickComponent(float DeltaTime, ELevelTick TickType, FActorComponentTickFunction* ThisTick) {
    Super::TickComponent(DeltaTime, TickType, ThisTick);
    if (!Conversation) return;
    const double Now = FPlatformTime::Seconds();
    if (RetryAt >= 0.0 && Now >= RetryAt) {
        RetryAt = -1.0;
        OpenSocket();
    }
    Conversation->SendMicrophone(bListening);
    const int32 Queued = Wave->GetAvailableAudioByteCount() / static_cast<int32>(sizeof(int16));
    npc::CharacterClient& Client = Conversation->Client;
    Client.Step(Now * 1000.0, static_cast<double>(Queued) / FNpcConversation::Rate);
    for (const npc::Cue& Cue : Client.due) {
        if (Cue.kind == "word") {
            Caption = Caption.IsEmpty() ? Wide(Cue.name) : Caption + TEXT(" ") + Wide(Cue.name);
            OnCaption.Broadcast(Caption);
        } else if (Cue.kind == "emotion") {
            OnEmotion.Broadcast(Wide(Cue.name));
        }
    }
    ShowFace();
    Flush();
}

void UNpcCharacterComponent::Flush() {
    npc::CharacterClient& Client = Conversation->Client;
    while (Socket && Socket->IsConnected() && !Client.outgoing.empty()) {
        const npc::Message Message = std::move(Client.outgoing.front());
        Client.outgoing.pop_front();
        if (Message.binary) Socket->Send(Message.bytes.data(), Message.bytes.size(), true);
        else Socket->Send(Wide(Message.text));
    }
}

void UNpcCharacterComponent::ShowFace() {
    const npc::CharacterClient& Client = Conversation->Client;
    if (Client.channels.empty()) return;
    Conversation->Show((FPlatformTime::Seconds() - Began) * 1000.0);
    if (!LiveLinkSubject.IsNone()) {
        if (!LiveLink) LiveLink = FNpcLiveLinkSource::Open(LiveLinkSubject);
        if (LiveLink) LiveLink->Push(Client.channels, Conversation->Shown);
        return;
    }
    if (!Face) return;
    if (Curves.Num() != static_cast<int32>(Client.channels.size())) BindFace();
    for (int32 C = 0; C < Curves.Num(); ++C) {
        const float Weight = Conversation->Shown[static_cast<std::size_t>(C)] * Scales[C];
        if (!Curves[C].IsNone()) Face->SetMorphTarget(Curves[C], FMath::Clamp(Weight, 0.0f, 1.0f));
    }
}

// Which morph target each channel drives; what the rig does not have is said once.
void UNpcCharacterComponent::BindFace() {
    const npc::CharacterClient& Client = Conversation->Client;
    const USkeletalMesh* Mesh = Face->GetSkeletalMeshAsset();
    FString Missing;
    Curves.Reset();
    Scales.Reset();
    for (const std::string& Channel : Client.channels) {
        FName Curve = NpcCurves::NameFor(Wide(Channel), CurveNames);
        if (Mesh == nullptr || Mesh->FindMorphTarget(Curve) == nullptr) {
            const bool bJaw = Channel == "jawOpen" && Mesh != nullptr && Mesh->FindMorphTarget(JawFallback) != nullptr;
            Curve = bJaw ? JawFallback : FName();
            if (!bJaw) Missing = Missing + TEXT(" ") + Wide(Channel);
        }
        Curves.Add(Curve);
        const float* Scale = Calibration.Find(Wide(Channel));
        Scales.Add(Scale != nullptr ? *Scale : 1.0f);
    }
    if (Missing.IsEmpty()) return;
    UE_LOG(LogTemp, Warning, TEXT("NPC %s: the face has no morph target for%s"), *Character, *Missing);
    OnProblem.Broadcast(FString(TEXT("the face has no morph target for")) + Missing);
}

void UNpcCharacterComponent::StartVoice() {
    Wave = NewObject<USoundWaveProcedural>(this);
    Wave->SetSampleRate(FNpcConversation::Rate);
    Wave->NumChannels = 1;
    Wave->bLooping = false;
    // Pulled by the audio thread; what waits in the wave is what the pose is set back by.
    Wave->OnSoundWaveProceduralUnderflow.BindLambda([this](USoundWaveProcedural* Source, int32 Wanted) {
        FScopeLock Hold(&VoiceGate);
        if (!Conversation) return;
        std::vector<std::int16_t> Block(static_cast<std::size_t>(FMath::Min(Wanted, AheadSamples)));
        Conversation->Client.audio.Pull(Block.data(), static_cast<int>(Block.size()));
        Source->QueueAudio(reinterpret_cast<const uint8*>(Block.data()), static_cast<int32>(Block.size() * sizeof(std::int16_t)));
    });
    Voice = NewObject<UAudioComponent>(GetOwner());
    Voice->RegisterComponent();
    Voice->SetSound(Wave);
    Voice->Play();
}

void UNpcCharacterComponent::StartMicrophone() {
    Audio::FCaptureDeviceInfo Device;
    if (!Conversation->Capture.GetCaptureDeviceInfo(Device)) {
        OnProblem.Broadcast(TEXT("no microphone on this machine; use Say for typed turns"));
        return;
    }
    const Audio::FAudioCaptureDeviceParams Parameters;
    Audio::FOnAudioCaptureFunction Captured = [this](const void* Samples, int32 Frames, int32 Channels, int32 SampleRate, double, bool) {
        if (Conversation) Conversation->Captured(static_cast<const float*>(Samples), Frames, Channels, SampleRate);
    };
    if (Conversation->Capture.OpenAudioCaptureStream(Parameters, std::move(Captured), 1024)) Conversation->Capture.StartStream();
}

void UNpcCharacterComponent::Say(const FString& Text) {
    if (Conversation) Conversation->Client.Say(Utf8(Text));
}

void UNpcCharacterComponent::FinishAction(const FString& CallId, bool bOk, const FString& Note) {
    if (Conversation) Conversation->Client.ActionResult(Utf8(CallId), {{"ok", bOk}, {"note", Utf8(Note)}});
}

void UNpcCharacterComponent::SetScene(const FString& Json) {
    const npc::Json Scene = npc::Json::parse(Utf8(Json), nullptr, false);
    if (!Scene.is_object()) OnProblem.Broadcast(TEXT("SetScene: not a JSON object"));
    else if (Conversation) Conversation->Client.SceneUpdate(Scene);
}

float UNpcCharacterComponent::Channel(const FString& Name) const {
    if (!Conversation) return 0.0f;
    const npc::CharacterClient& Client = Conversation->Client;
    for (std::size_t C = 0; C < Client.channels.size(); ++C) {
        if (Wide(Client.channels[C]) == Name) return Client.pose[C];
    }
    return 0.0f;
}

FString UNpcCharacterComponent::ConnectionState() const { return State; }

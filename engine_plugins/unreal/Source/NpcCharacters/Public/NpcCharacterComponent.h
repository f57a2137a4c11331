// One character of the npc service: put it on the actor that speaks. Everything that moves follows the samples that were played.
#pragma once

#include "Components/ActorComponent.h"
#include "CoreMinimal.h"

#include "NpcCharacterComponent.generated.h"

class FNpcLiveLinkSource;
class IWebSocket;
class UAudioComponent;
class USkeletalMeshComponent;
class USoundWaveProcedural;
struct FNpcConversation;

DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(FNpcText, const FString&, Text);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_ThreeParams(FNpcAction, const FString&, CallId, const FString&, Name, const FString&, ArgumentsJson);
DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(FNpcActionCancelled, const FString&, CallId, bool, bUndo);

UENUM(BlueprintType)
enum class ENpcCurveNames : uint8 { ARKit, MetaHuman, CharacterCreator4 };

UCLASS(ClassGroup = (NPC), meta = (BlueprintSpawnableComponent))
class NPCCHARACTERS_API UNpcCharacterComponent : public UActorComponent {
    GENERATED_BODY()

public:
    UNpcCharacterComponent();
    ~UNpcCharacterComponent() override;

    /** Use 127.0.0.1, not localhost: name resolution may pick IPv6. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") FString Server = TEXT("ws://127.0.0.1:8765");
    /** Id of the character on the server. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") FString Character = TEXT("sela-marrow");
    /** API key or short-lived ticket; empty on loopback. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") FString Key;
    /** Id under which the character remembers this player. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") FString PlayerId = TEXT("player");
    /** Which names the face's morph targets or curves have. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") ENpcCurveNames CurveNames = ENpcCurveNames::ARKit;
    /** Per ARKit channel: what its weight is multiplied by on this rig. Channels left out keep theirs. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") TMap<FString, float> Calibration;
    /** Where a rig lacks the morph targets: this one follows the jaw. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") FName JawFallback = FName(TEXT("mouthOpen"));
    /** Not None: the face is pushed as this Live Link subject (PascalCase ARKit names) instead of to morph targets. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") FName LiveLinkSubject;
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") bool bConnectOnBeginPlay = true;
    /** Stream the microphone while this is set: hands-free when always on, push to talk when a key sets it. */
    UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "NPC") bool bListening = true;

    UPROPERTY(BlueprintAssignable, Category = "NPC") FNpcText OnCaption;
    UPROPERTY(BlueprintAssignable, Category = "NPC") FNpcText OnHeard;
    UPROPERTY(BlueprintAssignable, Category = "NPC") FNpcText OnEmotion;
    UPROPERTY(BlueprintAssignable, Category = "NPC") FNpcAction OnAction;
    UPROPERTY(BlueprintAssignable, Category = "NPC") FNpcActionCancelled OnActionCancelled;
    UPROPERTY(BlueprintAssignable, Category = "NPC") FNpcText OnProblem;

    UFUNCTION(BlueprintCallable, Category = "NPC") void Connect();
    UFUNCTION(BlueprintCallable, Category = "NPC") void Disconnect();
    /** A typed turn. */
    UFUNCTION(BlueprintCallable, Category = "NPC") void Say(const FString& Text);
    /** Tell the character how its action ended. */
    UFUNCTION(BlueprintCallable, Category = "NPC") void FinishAction(const FString& CallId, bool bOk, const FString& Note);
    /** What the character sees: an npc.scene.update as JSON, e.g. {"entities":[{"id":"chest","name":"left chest"}]}. */
    UFUNCTION(BlueprintCallable, Category = "NPC") void SetScene(const FString& Json);
    /** Weight of one ARKit channel in the pose that belongs to the sample sounding now. */
    UFUNCTION(BlueprintPure, Category = "NPC") float Channel(const FString& Name) const;
    UFUNCTION(BlueprintPure, Category = "NPC") FString ConnectionState() const;

    void BeginPlay() override;
    void EndPlay(EEndPlayReason::Type Reason) override;
    void TickComponent(float DeltaTime, ELevelTick TickType, FActorComponentTickFunction* ThisTick) override;

private:
    void OpenSocket();
    void DropSocket();
    void Lost(int32 Code);
    void Flush();
    void ShowFace();
    void BindFace();
    void StartVoice();
    void StartMicrophone();

    TUniquePtr<FNpcConversation> Conversation;
    /** Held while the conversation is exchanged, and by the audio thread while it pulls from it. */
    FCriticalSection VoiceGate;
    TSharedPtr<IWebSocket> Socket;
    UPROPERTY(Transient) TObjectPtr<UAudioComponent> Voice;
    UPROPERTY(Transient) TObjectPtr<USoundWaveProcedural> Wave;
    UPROPERTY(Transient) TObjectPtr<USkeletalMeshComponent> Face;
    TSharedPtr<FNpcLiveLinkSource> LiveLink;
    TArray<FName> Curves;
    TArray<float> Scales;
    TArray<uint8> Incoming;
    FString Caption;
    FString State = TEXT("off");
    double RetryAt = -1.0;
    double Began = 0.0;
};

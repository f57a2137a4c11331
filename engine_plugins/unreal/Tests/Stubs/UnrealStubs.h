// Declarations only, so that the Unreal layer can be checked by g++ -fsyntax-only where there is no Unreal. Signatures follow UE 5.4-5.7;
// nothing here runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using int32 = std::int32_t;
using int64 = std::int64_t;
using int16 = std::int16_t;
using uint8 = std::uint8_t;
using SIZE_T = std::size_t;
using TCHAR = wchar_t;
#define TEXT(x) L##x
#define UCLASS(...)
#define UPROPERTY(...)
#define UFUNCTION(...)
#define UENUM(...)
#define GENERATED_BODY() using Super = UActorComponent;
#define NPCCHARACTERS_API
#define UE_LOG(...) ((void)0)
#define TCHAR_TO_UTF8(x) StubUtf8(x)
#define UTF8_TO_TCHAR(x) StubWide(x)
#define IMPLEMENT_MODULE(Type, Name)
#define DECLARE_STUB_DELEGATE(Name) struct Name { template <class... Args> void Broadcast(Args&&...) {} };
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(Name, ...) DECLARE_STUB_DELEGATE(Name)
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(Name, ...) DECLARE_STUB_DELEGATE(Name)
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_ThreeParams(Name, ...) DECLARE_STUB_DELEGATE(Name)

const char* StubUtf8(const TCHAR* text);
const TCHAR* StubWide(const char* text);

class FString {
public:
    FString() = default;
    FString(const TCHAR*) {}
    const TCHAR* operator*() const { return L""; }
    void Empty() {}
    bool IsEmpty() const { return true; }
    bool EndsWith(const TCHAR*) const { return false; }
    FString LeftChop(int32) const { return {}; }
    FString Left(int32) const { return {}; }
    FString Mid(int32) const { return {}; }
    FString ToUpper() const { return {}; }
    bool operator==(const FString&) const { return true; }
    bool operator==(const TCHAR*) const { return true; }
    FString operator+(const FString&) const { return {}; }
    FString operator+(const TCHAR*) const { return {}; }
};
inline FString operator+(const TCHAR*, const FString&) { return {}; }

class FName {
public:
    FName() = default;
    explicit FName(const TCHAR*) {}
    bool IsNone() const { return true; }
};

template <class T>
class TArray {
public:
    void Add(const T&) {}
    void Append(const T*, int32) {}
    void Reset() {}
    int32 Num() const { return 0; }
    const T* GetData() const { return nullptr; }
    T& operator[](int32) { return one; }
    const T& operator[](int32) const { return one; }

private:
    T one{};
};

template <class T>
class TUniquePtr : public std::unique_ptr<T> {
public:
    using std::unique_ptr<T>::unique_ptr;
    TUniquePtr(std::unique_ptr<T>&& other) : std::unique_ptr<T>(std::move(other)) {}
    void Reset() { this->reset(); }
};
template <class T, class... Args>
TUniquePtr<T> MakeUnique(Args&&... args) {
    return TUniquePtr<T>(std::make_unique<T>(std::forward<Args>(args)...));
}
template <class T>
class TSharedPtr : public std::shared_ptr<T> {
public:
    using std::shared_ptr<T>::shared_ptr;
    TSharedPtr(std::shared_ptr<T> other) : std::shared_ptr<T>(std::move(other)) {}
    void Reset() { this->reset(); }
};
template <class T>
class TObjectPtr {
public:
    TObjectPtr() = default;
    TObjectPtr(T* p) : p_(p) {}
    T* operator->() const { return p_; }
    operator T*() const { return p_; }

private:
    T* p_ = nullptr;
};

template <class K, class V>
class TMap {
public:
    const V* Find(const K&) const { return nullptr; }
};

struct FCriticalSection {};
struct FScopeLock {
    explicit FScopeLock(FCriticalSection*) {}
};
struct FMath {
    template <class T> static T Min(T a, T b) { return a < b ? a : b; }
    template <class T> static T Clamp(T x, T low, T high) { return x < low ? low : x > high ? high : x; }
    static float FRand() { return 0.0f; }
};
struct FPlatformTime {
    static double Seconds() { return 0.0; }
};

class UObject {};
template <class T> T* NewObject(UObject*) { return nullptr; }
namespace EEndPlayReason { enum Type { Quit }; }
enum ELevelTick { LEVELTICK_All };
struct FActorComponentTickFunction { bool bCanEverTick = false; };
class AActor : public UObject {
public:
    template <class T> T* FindComponentByClass() const { return nullptr; }
};
class UActorComponent : public UObject {
public:
    virtual ~UActorComponent() = default;
    virtual void BeginPlay() {}
    virtual void EndPlay(EEndPlayReason::Type) {}
    virtual void TickComponent(float, ELevelTick, FActorComponentTickFunction*) {}
    AActor* GetOwner() const { return nullptr; }
    void RegisterComponent() {}
    FActorComponentTickFunction PrimaryComponentTick;
};
class UMorphTarget;
class USkeletalMesh : public UObject {
public:
    UMorphTarget* FindMorphTarget(FName) const { return nullptr; }
};
class USkeletalMeshComponent : public UActorComponent {
public:
    USkeletalMesh* GetSkeletalMeshAsset() const { return nullptr; }
    void SetMorphTarget(FName, float, bool = true) {}
};
class USoundWaveProcedural;
struct FStubUnderflow {
    template <class F> void BindLambda(F&& f) { std::function<void(USoundWaveProcedural*, int32)> checked = f; }
    void Unbind() {}
};
class USoundWaveProcedural : public UObject {
public:
    int32 NumChannels = 0;
    bool bLooping = false;
    FStubUnderflow OnSoundWaveProceduralUnderflow;
    void SetSampleRate(int32) {}
    int32 GetAvailableAudioByteCount() { return 0; }
    void QueueAudio(const uint8*, int32) {}
};
class UAudioComponent : public UActorComponent {
public:
    void SetSound(USoundWaveProcedural*) {}
    void Play() {}
    void Stop() {}
};

template <class... Args>
struct TStubEvent {
    template <class F> void AddLambda(F&& f) { std::function<void(Args...)> checked = f; }
    void Clear() {}
};
class IWebSocket {
public:
    virtual ~IWebSocket() = default;
    virtual TStubEvent<>& OnConnected() = 0;
    virtual TStubEvent<const FString&>& OnConnectionError() = 0;
    virtual TStubEvent<int32, const FString&, bool>& OnClosed() = 0;
    virtual TStubEvent<const FString&>& OnMessage() = 0;
    virtual TStubEvent<const void*, SIZE_T, bool>& OnBinaryMessage() = 0;
    virtual void Connect() = 0;
    virtual void Close(int32 = 1000, const FString& = FString()) = 0;
    virtual bool IsConnected() = 0;
    virtual void Send(const FString&) = 0;
    virtual void Send(const void*, SIZE_T, bool = false) = 0;
};
struct FWebSocketsModule {
    static FWebSocketsModule& Get();
    TSharedPtr<IWebSocket> CreateWebSocket(const FString&, const TArray<FString>&);
};

namespace Audio {
struct FCaptureDeviceInfo {};
struct FAudioCaptureDeviceParams {};
using FOnAudioCaptureFunction = std::function<void(const void*, int32, int32, int32, double, bool)>;
class FAudioCapture {
public:
    bool GetCaptureDeviceInfo(FCaptureDeviceInfo&) { return false; }
    bool OpenAudioCaptureStream(const FAudioCaptureDeviceParams&, FOnAudioCaptureFunction, unsigned) { return false; }
    bool StartStream() { return false; }
    bool AbortStream() { return false; }
};
}  // namespace Audio

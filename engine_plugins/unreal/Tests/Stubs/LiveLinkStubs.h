// Declarations only, of the Live Link API as in UE 5.4-5.7; nothing here runs.
#pragma once

#include "UnrealStubs.h"

struct FGuid {};
class FText {
public:
    static FText FromString(const FString&) { return {}; }
};
template <class T>
T&& MoveTemp(T& value) { return static_cast<T&&>(value); }
template <class T, class... Args>
TSharedPtr<T> MakeShared(Args&&... args) { return TSharedPtr<T>(std::make_shared<T>(std::forward<Args>(args)...)); }

class UScriptStruct;
class UClass;
struct FLiveLinkWorldTime {
    FLiveLinkWorldTime() = default;
    explicit FLiveLinkWorldTime(double) {}
};
struct FLiveLinkBaseStaticData {
    static UScriptStruct* StaticStruct();
    TArray<FName> PropertyNames;
};
struct FLiveLinkBaseFrameData {
    static UScriptStruct* StaticStruct();
    FLiveLinkWorldTime WorldTime;
    TArray<float> PropertyValues;
};
struct FLiveLinkStaticDataStruct {
    explicit FLiveLinkStaticDataStruct(const UScriptStruct*) {}
    template <class T> T* Cast() { return nullptr; }
};
struct FLiveLinkFrameDataStruct {
    explicit FLiveLinkFrameDataStruct(const UScriptStruct*) {}
    template <class T> T* Cast() { return nullptr; }
};
struct FLiveLinkSubjectKey {
    FLiveLinkSubjectKey(FGuid, FName) {}
};
class ULiveLinkBasicRole {
public:
    static UClass* StaticClass();
};

class ILiveLinkClient;
class ILiveLinkSource {
public:
    virtual ~ILiveLinkSource() = default;
    virtual void ReceiveClient(ILiveLinkClient*, FGuid) = 0;
    virtual bool IsSourceStillValid() const = 0;
    virtual bool RequestSourceShutdown() = 0;
    virtual FText GetSourceType() const = 0;
    virtual FText GetSourceMachineName() const = 0;
    virtual FText GetSourceStatus() const = 0;
};
class ILiveLinkClient {
public:
    static const FName ModularFeatureName;
    virtual ~ILiveLinkClient() = default;
    virtual FGuid AddSource(TSharedPtr<ILiveLinkSource>) = 0;
    virtual void RemoveSource(FGuid) = 0;
    virtual void PushSubjectStaticData_AnyThread(const FLiveLinkSubjectKey&, UClass*, FLiveLinkStaticDataStruct&&) = 0;
    virtual void PushSubjectFrameData_AnyThread(const FLiveLinkSubjectKey&, FLiveLinkFrameDataStruct&&) = 0;
};
class IModularFeatures {
public:
    static IModularFeatures& Get();
    bool IsModularFeatureAvailable(FName) const { return false; }
    template <class T> T& GetModularFeature(FName);
};

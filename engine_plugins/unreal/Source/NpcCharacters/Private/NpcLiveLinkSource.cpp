#include "NpcLiveLinkSource.h"

#include "Features/IModularFeatures.h"
#include "ILiveLinkClient.h"
#include "NpcCurveNames.h"
#include "Roles/LiveLinkBasicRole.h"
#include "Roles/LiveLinkBasicTypes.h"

TSharedPtr<FNpcLiveLinkSource> FNpcLiveLinkSource::Open(FName Subject) {
    IModularFeatures& Features = IModularFeatures::Get();
    if (!Features.IsModularFeatureAvailable(ILiveLinkClient::ModularFeatureName)) return nullptr;
    TSharedPtr<FNpcLiveLinkSource> Source = MakeShared<FNpcLiveLinkSource>(Subject);
    Features.GetModularFeature<ILiveLinkClient>(ILiveLinkClient::ModularFeatureName).AddSource(Source);
    return Source;
}

void FNpcLiveLinkSource::ReceiveClient(ILiveLinkClient* InClient, FGuid InSourceGuid) {
    Client = InClient;
    Guid = InSourceGuid;
    Described = 0;
}

void FNpcLiveLinkSource::Describe(const std::vector<std::string>& Names) {
    FLiveLinkStaticDataStruct Data(FLiveLinkBaseStaticData::StaticStruct());
    FLiveLinkBaseStaticData& Properties = *Data.Cast<FLiveLinkBaseStaticData>();
    for (const std::string& Name : Names) {
        Properties.PropertyNames.Add(NpcCurves::NameFor(FString(UTF8_TO_TCHAR(Name.c_str())), ENpcCurveNames::ARKit));
    }
    Client->PushSubjectStaticData_AnyThread({Guid, Subject}, ULiveLinkBasicRole::StaticClass(), MoveTemp(Data));
    Described = Names.size();
}

void FNpcLiveLinkSource::Push(const std::vector<std::string>& Names, const std::vector<float>& Weights) {
    if (Client == nullptr || Names.empty() || Names.size() != Weights.size()) return;
    if (Described != Names.size()) Describe(Names);
    FLiveLinkFrameDataStruct Data(FLiveLinkBaseFrameData::StaticStruct());
    FLiveLinkBaseFrameData& Frame = *Data.Cast<FLiveLinkBaseFrameData>();
    Frame.WorldTime = FLiveLinkWorldTime(FPlatformTime::Seconds());
    for (const float Weight : Weights) Frame.PropertyValues.Add(Weight);
    Client->PushSubjectFrameData_AnyThread({Guid, Subject}, MoveTemp(Data));
}

void FNpcLiveLinkSource::Close() {
    if (Client != nullptr) Client->RemoveSource(Guid);
    Client = nullptr;
}

bool FNpcLiveLinkSource::RequestSourceShutdown() {
    Client = nullptr;
    return true;
}

FText FNpcLiveLinkSource::GetSourceType() const { return FText::FromString(TEXT("NPC Character")); }
FText FNpcLiveLinkSource::GetSourceMachineName() const { return FText::FromString(TEXT("npc service")); }
FText FNpcLiveLinkSource::GetSourceStatus() const { return FText::FromString(Described != 0 ? TEXT("Receiving") : TEXT("Waiting for the session")); }

// The character's face as a Live Link subject: MetaHumans and other rigs that already listen to Live Link Face take it unchanged.
#pragma once

#include "CoreMinimal.h"
#include "ILiveLinkSource.h"

#include <string>
#include <vector>

class FNpcLiveLinkSource : public ILiveLinkSource {
public:
    explicit FNpcLiveLinkSource(FName InSubject) : Subject(InSubject) {}

    /// Add a source to the Live Link client; nothing where the Live Link plugin is off.
    static TSharedPtr<FNpcLiveLinkSource> Open(FName Subject);

    /// Push the pose that belongs to the sample sounding now. `Names` are the server's channels; Live Link Face spells them PascalCase.
    void Push(const std::vector<std::string>& Names, const std::vector<float>& Weights);
    /// Take the source out of the client.
    void Close();

    void ReceiveClient(ILiveLinkClient* InClient, FGuid InSourceGuid) override;
    bool IsSourceStillValid() const override { return Client != nullptr; }
    bool RequestSourceShutdown() override;
    FText GetSourceType() const override;
    FText GetSourceMachineName() const override;
    FText GetSourceStatus() const override;

private:
    void Describe(const std::vector<std::string>& Names);

    FName Subject;
    ILiveLinkClient* Client = nullptr;
    FGuid Guid;
    std::size_t Described = 0;
};

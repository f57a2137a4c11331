// Names of the 52 channels on rigs that do not use Apple's. Channels come from the server by name, so no order is assumed.
#pragma once

#include "CoreMinimal.h"
#include "NpcCharacterComponent.h"

namespace NpcCurves {

/// The curve of a rig for an ARKit channel such as "eyeBlinkLeft".
inline FName NameFor(const FString& Channel, ENpcCurveNames Rig) {
    const FString Side = Channel.EndsWith(TEXT("Left")) ? TEXT("L") : Channel.EndsWith(TEXT("Right")) ? TEXT("R") : TEXT("");
    const FString Stem = Side == TEXT("L") ? Channel.LeftChop(4) : Side == TEXT("R") ? Channel.LeftChop(5) : Channel;
    const FString Pascal = Stem.Left(1).ToUpper() + Stem.Mid(1);
    switch (Rig) {
        case ENpcCurveNames::MetaHuman:
            return FName(*(TEXT("CTRL_expressions_") + Stem + Side));
        case ENpcCurveNames::CharacterCreator4:
            return FName(*(Side.IsEmpty() ? Pascal : Pascal + TEXT("_") + Side));
        default:
            return FName(*(Side.IsEmpty() ? Pascal : Pascal + (Side == TEXT("L") ? TEXT("Left") : TEXT("Right"))));
    }
}

}  // namespace NpcCurves

using System.IO;
using UnrealBuildTool;

public class NpcCharacters : ModuleRules
{
    public NpcCharacters(ReadOnlyTargetRules Target) : base(Target)
    {
        PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
        CppStandard = CppStandardVersion.Cpp20;
        PublicDependencyModuleNames.AddRange(new[] { "Core", "CoreUObject", "Engine" });
        PrivateDependencyModuleNames.AddRange(new[] { "WebSockets", "AudioMixer", "AudioCaptureCore", "SignalProcessing", "LiveLinkInterface" });
        // nlohmann/json 3.11.2 (MIT) is carried. The core parses without exceptions.
        PrivateIncludePaths.Add(Path.Combine(ModuleDirectory, "ThirdParty"));
        PrivateDefinitions.Add("JSON_NOEXCEPTION=1");
    }
}

using Npc.Unity;
using UnityEngine;

/// <summary>Put this beside an NpcCharacter: captions in the console, every action answered.</summary>
public sealed class TalkSample : MonoBehaviour
{
    void Start()
    {
        NpcCharacter character = GetComponent<NpcCharacter>();
        character.onHeard.AddListener(text => Debug.Log("you: " + text));
        character.onCaption.AddListener(text => Debug.Log("character: " + text));
        character.onAction.AddListener((callId, name, arguments) =>
        {
            Debug.Log("action " + name + " " + arguments);
            character.FinishAction(callId, true, "done");
        });
    }
}

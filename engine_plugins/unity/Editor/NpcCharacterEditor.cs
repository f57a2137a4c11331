using UnityEditor;
using UnityEngine;

namespace Npc.Unity.Editor
{
    /// <summary>The inspector: connection, a line to type, and which blend shapes did not match.</summary>
    [CustomEditor(typeof(NpcCharacter))]
    public sealed class NpcCharacterEditor : UnityEditor.Editor
    {
        string line = "";

        public override void OnInspectorGUI()
        {
            DrawDefaultInspector();
            NpcCharacter character = (NpcCharacter)target;
            if (!Application.isPlaying)
            {
                EditorGUILayout.HelpBox("Start the service with: make demo. Then press Play.", MessageType.Info);
                return;
            }
            EditorGUILayout.LabelField("Connection", character.ConnectionState);
            NpcFace face = character.GetComponent<NpcFace>();
            if (face != null && face.Missing != null && face.Missing.Count > 0)
                EditorGUILayout.HelpBox("No blend shape for: " + string.Join(", ", face.Missing.ToArray()), MessageType.Warning);
            line = EditorGUILayout.TextField("Say", line);
            if (GUILayout.Button("Send") && line.Length > 0) { character.Say(line); line = ""; }
        }

        public override bool RequiresConstantRepaint() { return Application.isPlaying; }
    }
}

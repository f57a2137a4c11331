using System;
using System.Collections.Generic;
using System.Text;
using Npc.Core;
using UnityEngine;

namespace Npc.Unity
{
    /// <summary>
    /// Writes the character's 52 channels to the blend shapes of its meshes, once per frame. Names are matched without case,
    /// separators and prefixes (camelCase, PascalCase, _L/_R, blendShape1.); what does not match is reported once.
    /// </summary>
    [AddComponentMenu("NPC/NPC Face")]
    public sealed class NpcFace : MonoBehaviour
    {
        [Serializable] public struct Calibration { public string channel; public float multiplier; public float offset; }

        [Tooltip("Empty: every skinned mesh below this object")] public SkinnedMeshRenderer[] meshes = new SkinnedMeshRenderer[0];
        [Tooltip("Per channel: weight × multiplier + offset")] public Calibration[] calibration = new Calibration[0];
        [Tooltip("Where a rig lacks ARKit shapes: this one follows the jaw")] public string jawFallback = "mouthOpen";

        [Tooltip("Sways a little while the character lives; empty: only the eyes do")] public Transform head;

        struct Target { public SkinnedMeshRenderer Mesh; public int Index; }
        List<Target>[] targets;
        float[] pose;
        IdleFace idle;
        uint idleSeed;
        Quaternion headRest = Quaternion.identity;
        float[] multiplier;
        float[] offset;

        /// <summary>Channels that found no blend shape; filled when the session begins.</summary>
        public List<string> Missing { get; private set; }

        public void Show(CharacterClient client, double nowMs)
        {
            if (client.Channels.Length == 0) return;
            if (targets == null || targets.Length != client.Channels.Length) Bind(client.Channels);
            if (idle == null || idleSeed != client.IdleSeed)
            {
                idleSeed = client.IdleSeed;
                idle = new IdleFace(idleSeed);
            }
            client.Pose.CopyTo(pose, 0);
            idle.Step(nowMs, client.Audio.State != PlayState.Idle, client.Channels, pose);
            IdlePose life = idle.Now;
            if (head != null) head.localRotation = headRest * Quaternion.Euler(-(float)life.HeadPitch, (float)life.HeadYaw, (float)life.HeadRoll);
            for (int c = 0; c < targets.Length; c++)
            {
                float weight = Mathf.Clamp01(pose[c] * multiplier[c] + offset[c]) * 100f; // Unity's weights are 0..100
                foreach (Target target in targets[c]) target.Mesh.SetBlendShapeWeight(target.Index, weight);
            }
        }

        void Bind(string[] channels)
        {
            if (meshes.Length == 0) meshes = GetComponentsInChildren<SkinnedMeshRenderer>();
            Dictionary<string, List<Target>> found = Shapes();
            targets = new List<Target>[channels.Length];
            pose = new float[channels.Length];
            if (head != null) headRest = head.localRotation;
            multiplier = new float[channels.Length];
            offset = new float[channels.Length];
            Missing = new List<string>();
            for (int c = 0; c < channels.Length; c++)
            {
                Calibration own = Array.Find(calibration, one => one.channel == channels[c]);
                multiplier[c] = own.channel == null ? 1f : own.multiplier;
                offset[c] = own.channel == null ? 0f : own.offset;
                if (!found.TryGetValue(Canonical(channels[c]), out targets[c]) && !(channels[c] == "jawOpen" && found.TryGetValue(Canonical(jawFallback), out targets[c])))
                {
                    targets[c] = new List<Target>();
                    Missing.Add(channels[c]);
                }
            }
            if (Missing.Count > 0) Debug.LogWarning("NPC face: no blend shape for " + string.Join(", ", Missing.ToArray()), this);
        }

        Dictionary<string, List<Target>> Shapes()
        {
            Dictionary<string, List<Target>> found = new Dictionary<string, List<Target>>();
            foreach (SkinnedMeshRenderer mesh in meshes)
            {
                for (int i = 0; i < mesh.sharedMesh.blendShapeCount; i++)
                {
                    string name = Canonical(mesh.sharedMesh.GetBlendShapeName(i));
                    if (!found.ContainsKey(name)) found[name] = new List<Target>();
                    found[name].Add(new Target { Mesh = mesh, Index = i });
                }
            }
            return found;
        }

        /// <summary>eyeBlinkLeft, EyeBlink_L and blendShape1.eyeBlink_L all become "eyeblinkleft".</summary>
        public static string Canonical(string name)
        {
            string bare = name.Substring(name.LastIndexOf('.') + 1);
            if (bare.EndsWith("_L", StringComparison.OrdinalIgnoreCase)) bare = bare.Substring(0, bare.Length - 2) + "Left";
            if (bare.EndsWith("_R", StringComparison.OrdinalIgnoreCase)) bare = bare.Substring(0, bare.Length - 2) + "Right";
            StringBuilder letters = new StringBuilder(bare.Length);
            foreach (char c in bare) if (char.IsLetterOrDigit(c)) letters.Append(char.ToLowerInvariant(c));
            return letters.ToString();
        }
    }
}

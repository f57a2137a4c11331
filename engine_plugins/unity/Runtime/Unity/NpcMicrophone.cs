using UnityEngine;

namespace Npc.Unity
{
    /// <summary>Streams the player's microphone to a character in 20 ms blocks, resampled to the session's rate.</summary>
    [AddComponentMenu("NPC/NPC Microphone")]
    public sealed class NpcMicrophone : MonoBehaviour
    {
        public NpcCharacter target;
        [Tooltip("Empty: the default device")] public string device = "";
        [Tooltip("Off: only while Talking is set, push to talk")] public bool handsFree = true;

        const int BlockSamples = NpcVoice.Rate / 50;
        const int RingSeconds = 2;
        readonly short[] outgoing = new short[BlockSamples];
        AudioClip clip;
        int readAt;
        int filled;
        double phase;
        float last;

        /// <summary>Push to talk: set while the button is held.</summary>
        public bool Talking { get; set; }

        public void Open()
        {
            if (UnityEngine.Microphone.devices.Length == 0)
            {
                Debug.LogWarning("NPC: no microphone on this machine; use NpcCharacter.Say for typed turns", this);
                return;
            }
            clip = UnityEngine.Microphone.Start(device, true, RingSeconds, NpcVoice.Rate);
            readAt = 0;
        }

        public void Close()
        {
            if (clip == null) return;
            UnityEngine.Microphone.End(device);
            clip = null;
        }

        void OnEnable() { Open(); }
        void OnDisable() { Close(); }

        void Update()
        {
            if (clip == null || target == null || target.Client == null) return;
            int writeAt = UnityEngine.Microphone.GetPosition(device);
            int count = (writeAt - readAt + clip.samples) % clip.samples;
            if (count == 0) return;
            float[] window = new float[count];
            clip.GetData(window, readAt);
            readAt = writeAt;
            if (handsFree || Talking) Push(window, clip.frequency);
        }

        void Push(float[] samples, int rate)
        {
            double step = (double)rate / NpcVoice.Rate;
            foreach (float sample in samples)
            {
                phase += 1.0;
                while (phase >= step)
                {
                    phase -= step;
                    float value = last + (sample - last) * (float)(1.0 - System.Math.Min(1.0, phase));
                    outgoing[filled++] = (short)(Mathf.Clamp(value, -1f, 1f) * 32767f);
                    if (filled < BlockSamples) continue;
                    target.Client.SendAudio(outgoing, filled);
                    filled = 0;
                }
                last = sample;
            }
        }
    }
}

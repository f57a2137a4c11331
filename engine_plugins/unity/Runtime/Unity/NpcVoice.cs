#if UNITY_WEBGL && !UNITY_EDITOR
using System.Runtime.InteropServices;
#endif
using Npc.Core;
using UnityEngine;

namespace Npc.Unity
{
    /// <summary>
    /// Plays the character's voice through an AudioSource by OnAudioFilterRead: the pull model, so that the samples counted are the
    /// samples played. In WebGL, where that callback does not run, NpcVoice.jslib plays from a ring that is topped up every frame.
    /// </summary>
    [AddComponentMenu("NPC/NPC Voice")]
    [RequireComponent(typeof(AudioSource))]
    public sealed class NpcVoice : MonoBehaviour
    {
        /// <summary>Rate of the service's audio.</summary>
        public const int Rate = 24000;
        JitterBuffer buffer;
        short[] block = new short[4096];
        int deviceRate = 48000;
        double position;
        float previous;
        float current;

        /// <summary>Seconds between a pulled sample and the ear: what the mixer holds.</summary>
        public double OutputLatencySeconds { get; private set; }

        public void Use(JitterBuffer source) { buffer = source; }

        void Awake()
        {
            deviceRate = AudioSettings.outputSampleRate;
            int length, count;
            AudioSettings.GetDSPBufferSize(out length, out count);
            OutputLatencySeconds = (double)length * count / deviceRate;
            // A silent looping clip keeps the filter running and lets the AudioSource place the voice in space.
            AudioSource source = GetComponent<AudioSource>();
            source.clip = AudioClip.Create("npc voice", deviceRate, 1, deviceRate, false);
            source.loop = true;
            source.Play();
        }

#if UNITY_WEBGL && !UNITY_EDITOR
        /// <summary>What the ring holds ahead: two frames at 30 fps and some room.</summary>
        const int AheadSamples = Rate / 10;
        [DllImport("__Internal")] static extern int NpcVoiceQueued(int rate);
        [DllImport("__Internal")] static extern void NpcVoicePush(short[] samples, int count);
        [DllImport("__Internal")] static extern void NpcVoiceClear();

        void Update()
        {
            if (buffer == null) return;
            int queued = NpcVoiceQueued(Rate);
            int count = System.Math.Min(block.Length, AheadSamples - queued);
            if (count > 0)
            {
                buffer.Pull(block, count);
                if (buffer.State == PlayState.Paused) NpcVoiceClear();
                NpcVoicePush(block, count);
            }
            OutputLatencySeconds = (double)(queued + System.Math.Max(0, count)) / Rate;
        }
#endif

        void OnAudioFilterRead(float[] data, int channels)
        {
            if (buffer == null) return;
            int frames = data.Length / channels;
            double step = (double)Rate / deviceRate;
            int needed = (int)(position + frames * step);
            if (needed > block.Length) block = new short[needed];
            buffer.Pull(block, needed);
            int next = 0;
            for (int i = 0; i < frames; i++)
            {
                position += step;
                while (position >= 1.0)
                {
                    position -= 1.0;
                    previous = current;
                    current = next < needed ? block[next++] / 32768f : 0f;
                }
                float value = previous + (current - previous) * (float)position;
                for (int c = 0; c < channels; c++) data[i * channels + c] += value;
            }
        }
    }
}

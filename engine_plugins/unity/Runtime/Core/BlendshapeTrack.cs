using System;
using System.Collections.Generic;

namespace Npc.Core
{
    /// <summary>
    /// The blendshape frames of one item, sampled between frames on the played-sample clock. Past the last frame known the pose decays
    /// to rest; late, doubled and out-of-order blocks are sorted in, and the first copy wins.
    /// </summary>
    public sealed class BlendshapeTrack
    {
        public const float DecaySeconds = 0.15f;
        readonly List<Frame> blocks = new List<Frame>();
        readonly int channels;

        public BlendshapeTrack(int channels) { this.channels = channels; }

        /// <summary>Throws FrameException when the block has another number of channels than the track.</summary>
        public void Add(Frame block)
        {
            if (block.Channels != channels) throw new FrameException("track has " + channels + " channels, block has " + block.Channels);
            if (block.Count == 0) return;
            int place = blocks.Count;
            while (place > 0 && blocks[place - 1].Start > block.Start) place--;
            if (place > 0 && blocks[place - 1].Start == block.Start) return;
            blocks.Insert(place, block);
        }

        /// <summary>Write the weights in [0, 1] at sample <paramref name="played"/> of the item into <paramref name="pose"/>.</summary>
        public void Sample(double played, int rate, float[] pose)
        {
            Array.Clear(pose, 0, pose.Length);
            int at = blocks.Count - 1;
            while (at >= 0 && blocks[at].Start > played) at--;
            if (at < 0) return;
            Frame block = blocks[at];
            double exact = (played - block.Start) / block.SamplesPerFrame;
            int index = (int)Math.Min(Math.Floor(exact), block.Count - 1);
            Frame next = block;
            int nextIndex = index + 1;
            if (nextIndex == block.Count)
            {
                nextIndex = 0;
                next = at + 1 < blocks.Count && blocks[at + 1].Start == block.End ? blocks[at + 1] : null;
            }
            double mix = next == null ? 0 : Math.Min(1, exact - index);
            double late = next == null ? Math.Max(0, played - block.End) / rate : 0;
            double keep = Math.Max(0, 1 - late / DecaySeconds);
            for (int c = 0; c < channels; c++)
            {
                double here = block.Weights[index * channels + c];
                double there = next == null ? here : next.Weights[nextIndex * channels + c];
                pose[c] = (float)((here + (there - here) * mix) / 255.0 * keep);
            }
        }
    }
}

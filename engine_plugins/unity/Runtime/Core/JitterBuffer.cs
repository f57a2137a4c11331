using System.Collections.Generic;

namespace Npc.Core
{
    public enum PlayState { Idle, Priming, Playing, Starved, Paused }

    /// <summary>
    /// Audio between the socket and the speaker: plays items in order and counts every sample that left.
    /// <code>
    /// Idle --audio--> Priming --60 ms queued, or the item whole--> Playing --queue empty--> Starved --audio--> Priming
    ///   ^                                                        |  \--pause--> Paused --resume--> Playing
    ///   +----------------- last sample pulled, or flushed -------+
    /// </code>
    /// Pull runs on the audio thread, the rest on the main thread; one lock is held for microseconds.
    /// </summary>
    public sealed class JitterBuffer
    {
        sealed class Item
        {
            public uint Ordinal;
            public readonly Queue<short[]> Chunks = new Queue<short[]>();
            public int Head;
            public long Played;
            public long End;
            public bool Whole;
            public bool Primed;
        }

        /// <summary>No server leaves a hole this long: a frame behind one does not belong here.</summary>
        public const int LongestHoleSeconds = 10;
        readonly object gate = new object();
        readonly List<Item> items = new List<Item>();
        readonly HashSet<uint> flushed = new HashSet<uint>();
        readonly Queue<KeyValuePair<uint, long>> finished = new Queue<KeyValuePair<uint, long>>();
        readonly int primeSamples;
        readonly int fadeSamples;
        readonly int longestHole;
        bool paused;
        float gain = 1f;
        float target = 1f;
        float slope;
        int fadeLeft;

        public JitterBuffer(int rate, int primeMs = 60, int fadeMs = 8)
        {
            longestHole = rate * LongestHoleSeconds;
            primeSamples = rate * primeMs / 1000;
            fadeSamples = System.Math.Max(1, rate * fadeMs / 1000);
        }

        public PlayState State { get; private set; }
        public uint Ordinal { get; private set; }
        /// <summary>Samples of item <see cref="Ordinal"/> that have left.</summary>
        public long Played { get; private set; }
        public int Underruns { get; private set; }

        /// <summary>Throws FrameException for audio too far ahead to belong to its item.</summary>
        public void Push(Frame frame)
        {
            lock (gate)
            {
                if (flushed.Contains(frame.Ordinal)) return;
                Item item = items.Find(one => one.Ordinal == frame.Ordinal);
                if (item == null)
                {
                    item = new Item { Ordinal = frame.Ordinal, Played = frame.Start, End = frame.Start };
                    items.Add(item);
                    if (State == PlayState.Idle) State = PlayState.Priming;
                }
                long hole = frame.Start - item.End;
                if (hole > longestHole) throw new FrameException("audio at sample " + frame.Start + " came after sample " + item.End + ": too far ahead");
                if (hole > 0)
                {
                    // Silence where audio is missing: the clock stays on the item's samples.
                    item.Chunks.Enqueue(new short[hole]);
                    item.End = frame.Start;
                }
                // A resumed socket may repeat what is queued already: keep only samples past the end.
                long known = System.Math.Max(0, item.End - frame.Start);
                if (known < frame.Pcm.Length)
                {
                    short[] fresh = new short[frame.Pcm.Length - known];
                    System.Array.Copy(frame.Pcm, known, fresh, 0, fresh.Length);
                    item.Chunks.Enqueue(fresh);
                    item.End = frame.Start + frame.Pcm.Length;
                }
                if (frame.Last) item.Whole = true;
            }
        }

        /// <summary>Fill <paramref name="output"/> with the next samples, silence where there are none. Returns samples of voice.</summary>
        public int Pull(short[] output, int count)
        {
            lock (gate)
            {
                System.Array.Clear(output, 0, count);
                if (items.Count == 0) { State = PlayState.Idle; return 0; }
                Item item = items[0];
                if (paused && gain <= 0f) { State = PlayState.Paused; return 0; }
                if (!item.Primed)
                {
                    if (!item.Whole && item.End - item.Played < primeSamples) return 0;
                    item.Primed = true;
                }
                State = PlayState.Playing;
                int filled = Drain(item, output, count);
                item.Played += filled;
                Ordinal = item.Ordinal;
                Played = item.Played;
                Shape(output, filled);
                if (filled < count) RanOut(item);
                return filled;
            }
        }

        /// <summary>Take the next item that sounded to its end, as (ordinal, samples); false when there is none.</summary>
        public bool TakeFinished(out KeyValuePair<uint, long> item)
        {
            lock (gate)
            {
                bool any = finished.Count > 0;
                item = any ? finished.Dequeue() : default(KeyValuePair<uint, long>);
                return any;
            }
        }

        /// <summary>Nothing more of this response sounds, now or later.</summary>
        public void Flush(uint ordinal)
        {
            lock (gate)
            {
                flushed.Add(ordinal);
                bool waited = items.Count > 0 && items[0].Ordinal != ordinal;
                items.RemoveAll(one => one.Ordinal == ordinal);
                if (waited) return; // what sounds before it, or its pause, goes on
                paused = false;
                gain = target = 1f;
                fadeLeft = 0;
                if (items.Count == 0) State = PlayState.Idle;
            }
        }

        /// <summary>Another session begins: nothing of the one before sounds, and its ordinals may come again.</summary>
        public void Clear()
        {
            lock (gate)
            {
                items.Clear();
                flushed.Clear();
                finished.Clear();
                paused = false;
                gain = target = 1f;
                fadeLeft = 0;
                State = PlayState.Idle;
                Ordinal = 0;
                Played = 0;
            }
        }

        public void Pause() { lock (gate) { paused = true; FadeTo(0f); } }
        public void Duck(float to) { lock (gate) FadeTo(to); }
        public void Resume() { lock (gate) { paused = false; FadeTo(1f); } }

        static int Drain(Item item, short[] output, int count)
        {
            int filled = 0;
            while (filled < count && item.Chunks.Count > 0)
            {
                short[] chunk = item.Chunks.Peek();
                int take = System.Math.Min(count - filled, chunk.Length - item.Head);
                System.Array.Copy(chunk, item.Head, output, filled, take);
                filled += take;
                item.Head += take;
                if (item.Head == chunk.Length) { item.Chunks.Dequeue(); item.Head = 0; }
            }
            return filled;
        }

        void RanOut(Item item)
        {
            if (item.Whole)
            {
                items.RemoveAt(0);
                finished.Enqueue(new KeyValuePair<uint, long>(item.Ordinal, item.Played));
                State = items.Count == 0 ? PlayState.Idle : PlayState.Priming;
                return;
            }
            Underruns++;
            item.Primed = false;
            State = PlayState.Starved;
        }

        void FadeTo(float to)
        {
            target = to;
            slope = (target - gain) / fadeSamples;
            fadeLeft = fadeSamples;
        }

        void Shape(short[] output, int filled)
        {
            if (gain == 1f && fadeLeft == 0) return;
            for (int i = 0; i < filled; i++)
            {
                output[i] = (short)(output[i] * gain);
                if (fadeLeft == 0) continue;
                fadeLeft--;
                gain = fadeLeft == 0 ? target : gain + slope;
            }
        }
    }
}

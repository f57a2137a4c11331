using System.Collections.Generic;

namespace Npc.Core
{
    /// <summary>One entry of the performance score; times are samples of its item (or of the input, where the message says so).</summary>
    public sealed class Cue
    {
        public string Kind = "";
        public string Name = "";
        public long At;
        public long Until;
        public float Weight = 1f;
        public string Target = "";
        public string CallId = "";
    }

    /// <summary>Cues of one spoken item, handed out once, in order, when the audio has come to them.</summary>
    public sealed class CueQueue
    {
        readonly List<Cue> pending = new List<Cue>();

        public int Count { get { return pending.Count; } }

        public void Add(Cue cue)
        {
            int place = pending.Count;
            while (place > 0 && pending[place - 1].At > cue.At) place--;
            pending.Insert(place, cue);
        }

        /// <summary>Append every cue with At &lt;= played to <paramref name="due"/> and forget it.</summary>
        public void Due(long played, List<Cue> due)
        {
            int count = 0;
            while (count < pending.Count && pending[count].At <= played) count++;
            for (int i = 0; i < count; i++) due.Add(pending[i]);
            pending.RemoveRange(0, count);
        }
    }
}

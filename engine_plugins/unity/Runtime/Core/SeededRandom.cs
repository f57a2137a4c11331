namespace Npc.Core
{
    /// <summary>xorshift32 with a seed mixer: the same integers in every client and in the server.</summary>
    public sealed class SeededRandom
    {
        uint state;

        public SeededRandom(uint seed, uint stream = 0) { state = Mix(seed, stream); }

        public static uint Mix(uint seed, uint stream)
        {
            unchecked
            {
                uint h = seed ^ (stream * 0x9E3779B1u);
                h ^= h >> 16;
                h *= 0x85EBCA6Bu;
                h ^= h >> 13;
                h *= 0xC2B2AE35u;
                h ^= h >> 16;
                return h != 0 ? h : 0x9E3779B9u;
            }
        }

        public uint Next()
        {
            uint x = state;
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            state = x;
            return x;
        }

        /// <summary>An integer in [0, n) for n up to 65536.</summary>
        public int Below(int n) { return (int)(((Next() >> 16) * (uint)n) >> 16); }

        /// <summary>A number in [0, 1) with 16 random bits.</summary>
        public float Unit() { return (Next() >> 16) / 65536f; }
    }
}

using System;

namespace Npc.Core
{
    /// <summary>What a binary message carries; see docs/protocol.md.</summary>
    public enum FrameKind : byte { OutputAudio = 1, Blendshapes = 2, InputAudio = 3 }

    /// <summary>A message that is cut, of an unknown kind, or not of the shape that its header says.</summary>
    public sealed class FrameException : Exception
    {
        public FrameException(string message) : base(message) { }
    }

    /// <summary>
    /// The binary frame of the wire: 16 bytes little-endian header (kind, flags, track, response ordinal, start sample), then PCM16
    /// or blendshape weights.
    /// </summary>
    public sealed class Frame
    {
        public const int HeaderBytes = 16;
        const int BlendshapeHeaderBytes = 8;
        const int LastFlag = 1;

        public FrameKind Kind;
        public bool Last;
        public int Track;
        public uint Ordinal;
        public long Start;
        /// <summary>Output audio only: PCM16 samples.</summary>
        public short[] Pcm;
        /// <summary>Blendshapes only: frames × channels weights, 0..255.</summary>
        public byte[] Weights;
        public int Count;
        public int Channels;
        public int SamplesPerFrame;

        public long End { get { return Start + (long)Count * SamplesPerFrame; } }

        public static Frame Decode(byte[] bytes)
        {
            if (bytes.Length < HeaderBytes) throw new FrameException("frame of " + bytes.Length + " bytes is shorter than its header");
            Frame frame = new Frame
            {
                Kind = (FrameKind)bytes[0],
                Last = (bytes[1] & LastFlag) != 0,
                Track = U16(bytes, 2),
                Ordinal = U32(bytes, 4),
                Start = (long)(U32(bytes, 8) | ((ulong)U32(bytes, 12) << 32)),
            };
            switch (frame.Kind)
            {
                case FrameKind.OutputAudio: frame.ReadAudio(bytes); return frame;
                case FrameKind.Blendshapes: frame.ReadWeights(bytes); return frame;
                default: throw new FrameException("unknown frame kind " + bytes[0]);
            }
        }

        /// <summary>Microphone audio from sample <paramref name="start"/> of the session's input.</summary>
        public static byte[] EncodeInput(short[] pcm, int count, long start)
        {
            byte[] bytes = new byte[HeaderBytes + count * 2];
            bytes[0] = (byte)FrameKind.InputAudio;
            for (int i = 0; i < 8; i++) bytes[8 + i] = (byte)(start >> (8 * i));
            for (int i = 0; i < count; i++)
            {
                bytes[HeaderBytes + 2 * i] = (byte)pcm[i];
                bytes[HeaderBytes + 2 * i + 1] = (byte)(pcm[i] >> 8);
            }
            return bytes;
        }

        void ReadAudio(byte[] bytes)
        {
            int length = bytes.Length - HeaderBytes;
            if (length % 2 != 0) throw new FrameException("PCM16 payload of odd length");
            Pcm = new short[length / 2];
            for (int i = 0; i < Pcm.Length; i++) Pcm[i] = (short)U16(bytes, HeaderBytes + 2 * i);
        }

        void ReadWeights(byte[] bytes)
        {
            int body = HeaderBytes + BlendshapeHeaderBytes;
            if (bytes.Length < body) throw new FrameException("blendshape frame is cut in its header");
            Count = U16(bytes, HeaderBytes);
            Channels = U16(bytes, HeaderBytes + 2);
            SamplesPerFrame = (int)U32(bytes, HeaderBytes + 4);
            if (bytes.Length != body + Count * Channels) throw new FrameException("blendshape frame is cut");
            if (Count > 0 && SamplesPerFrame <= 0) throw new FrameException("samples per frame must be at least 1");
            Weights = new byte[Count * Channels];
            Buffer.BlockCopy(bytes, body, Weights, 0, Weights.Length);
        }

        static int U16(byte[] bytes, int at) { return bytes[at] | (bytes[at + 1] << 8); }

        static uint U32(byte[] bytes, int at)
        {
            return (uint)(bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24));
        }
    }
}

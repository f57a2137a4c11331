using System.Collections.Generic;

namespace Npc.Core
{
    /// <summary>What happened on a socket since it was last asked.</summary>
    public struct SocketEvent
    {
        public enum Kind { Opened, Text, Binary, Closed }
        public Kind What;
        public string Text;
        public byte[] Bytes;
        public int Code;
    }

    /// <summary>A WebSocket that is polled: everything arrives on the thread that calls Poll. Implemented for .NET and for WebGL.</summary>
    public interface ISocket
    {
        void Connect(ConnectPlan plan);
        /// <summary>Move what happened into <paramref name="events"/>.</summary>
        void Poll(List<SocketEvent> events);
        /// <summary>Send a string or a byte[]; ignored unless open.</summary>
        void Send(object message);
        void Close();
    }
}

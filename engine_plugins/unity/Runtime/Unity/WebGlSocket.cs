#if UNITY_WEBGL && !UNITY_EDITOR
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Npc.Core;

namespace Npc.Unity
{
    /// <summary>ISocket over the browser's WebSocket (NpcSocket.jslib): a WebGL build has neither ClientWebSocket nor threads.</summary>
    public sealed class WebGlSocket : ISocket
    {
        [DllImport("__Internal")] static extern int NpcSocketOpen(string url, string protocols);
        /// <summary>Kind of the next thing that happened (0 nothing, 1 opened, 2 text, 3 binary, 4 closed); its size or close code in size.</summary>
        [DllImport("__Internal")] static extern int NpcSocketPeek(int id, out int size);
        [DllImport("__Internal")] static extern void NpcSocketTake(int id, byte[] into, int size);
        [DllImport("__Internal")] static extern void NpcSocketSendText(int id, string text);
        [DllImport("__Internal")] static extern void NpcSocketSendBinary(int id, byte[] bytes, int size);
        [DllImport("__Internal")] static extern void NpcSocketClose(int id);

        int id = -1;

        public void Connect(ConnectPlan plan)
        {
            Close();
            id = NpcSocketOpen(plan.Url, string.Join("\n", plan.Protocols.ToArray()));
        }

        public void Poll(List<SocketEvent> events)
        {
            if (id < 0) return;
            int size, kind;
            while ((kind = NpcSocketPeek(id, out size)) != 0)
            {
                byte[] bytes = new byte[kind == 2 || kind == 3 ? size : 0];
                NpcSocketTake(id, bytes, bytes.Length);
                if (kind == 1) events.Add(new SocketEvent { What = SocketEvent.Kind.Opened });
                if (kind == 2) events.Add(new SocketEvent { What = SocketEvent.Kind.Text, Text = System.Text.Encoding.UTF8.GetString(bytes) });
                if (kind == 3) events.Add(new SocketEvent { What = SocketEvent.Kind.Binary, Bytes = bytes });
                if (kind == 4) events.Add(new SocketEvent { What = SocketEvent.Kind.Closed, Code = size });
            }
        }

        public void Send(object message)
        {
            byte[] bytes = message as byte[];
            if (bytes != null) NpcSocketSendBinary(id, bytes, bytes.Length);
            else NpcSocketSendText(id, (string)message);
        }

        public void Close()
        {
            if (id >= 0) NpcSocketClose(id);
            id = -1;
        }
    }
}
#endif

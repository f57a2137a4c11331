using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Npc.Core;

namespace Npc.Net
{
    /// <summary>ISocket over .NET's ClientWebSocket: one thread-pool loop reads, one writes, Poll hands over.</summary>
    public sealed class ClientSocket : ISocket, IDisposable
    {
        /// <summary>Messages that may wait for a slow network: all that a resume sends again (1024), and as much of new ones.</summary>
        const int OutgoingBound = 2048;
        /// <summary>Milliseconds in which a socket that is left sends the rest and says so; then it is cut.</summary>
        const int LeaveMs = 2000;
        /// <summary>Milliseconds in which a server answers that it is there; then the next attempt is due.</summary>
        const int ConnectMs = 10000;
        readonly ConcurrentQueue<SocketEvent> happened = new ConcurrentQueue<SocketEvent>();
        BlockingCollection<object> outgoing;
        CancellationTokenSource stop;

        public void Connect(ConnectPlan plan)
        {
            Close();
            stop = new CancellationTokenSource();
            outgoing = new BlockingCollection<object>(OutgoingBound);
            CancellationToken token = stop.Token;
            BlockingCollection<object> messages = outgoing;
            Task.Run(() => Run(plan, messages, token));
        }

        public void Poll(List<SocketEvent> events)
        {
            SocketEvent one;
            while (happened.TryDequeue(out one)) events.Add(one);
        }

        /// <summary>Send a string or a byte[]. Beyond the bound it is dropped, and goes out again after a resume.</summary>
        public void Send(object message)
        {
            if (outgoing != null) outgoing.TryAdd(message);
        }

        /// <summary>Send what waits, tell the server that we leave, and hear no more of this socket.</summary>
        public void Close()
        {
            if (outgoing != null) outgoing.CompleteAdding();
            if (stop != null) stop.CancelAfter(LeaveMs);
            stop = null;
            outgoing = null;
        }

        public void Dispose() { Close(); }

        async Task Run(ConnectPlan plan, BlockingCollection<object> messages, CancellationToken token)
        {
            int code = 1006;
            using (CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(token))
            using (CancellationTokenSource late = CancellationTokenSource.CreateLinkedTokenSource(token))
            using (ClientWebSocket socket = new ClientWebSocket())
            {
                try
                {
                    foreach (string protocol in plan.Protocols) socket.Options.AddSubProtocol(protocol);
                    late.CancelAfter(ConnectMs);
                    await socket.ConnectAsync(new Uri(plan.Url), late.Token).ConfigureAwait(false);
                    late.CancelAfter(Timeout.Infinite);
                    Happened(messages, new SocketEvent { What = SocketEvent.Kind.Opened });
                    Task writer = Task.Run(() => Write(socket, messages, over.Token));
                    code = await Read(socket, messages, token).ConfigureAwait(false);
                    over.Cancel();
                    await writer.ConfigureAwait(false);
                }
                catch (Exception error)
                {
                    if (!(error is WebSocketException || error is IOException || error is OperationCanceledException || error is InvalidOperationException)) throw;
                }
                over.Cancel();
            }
            Happened(messages, new SocketEvent { What = SocketEvent.Kind.Closed, Code = code });
        }

        // A socket that was left tells nothing: the next one's events come after it.
        void Happened(BlockingCollection<object> messages, SocketEvent one)
        {
            if (!messages.IsAddingCompleted) happened.Enqueue(one);
        }

        async Task<int> Read(ClientWebSocket socket, BlockingCollection<object> messages, CancellationToken token)
        {
            byte[] buffer = new byte[16384];
            MemoryStream message = new MemoryStream();
            while (true)
            {
                WebSocketReceiveResult part = await socket.ReceiveAsync(new ArraySegment<byte>(buffer), token).ConfigureAwait(false);
                if (part.MessageType == WebSocketMessageType.Close) return part.CloseStatus.HasValue ? (int)part.CloseStatus.Value : 1005;
                message.Write(buffer, 0, part.Count);
                if (!part.EndOfMessage) continue;
                byte[] whole = message.ToArray();
                message.SetLength(0);
                bool text = part.MessageType == WebSocketMessageType.Text;
                Happened(messages, text
                    ? new SocketEvent { What = SocketEvent.Kind.Text, Text = Encoding.UTF8.GetString(whole) }
                    : new SocketEvent { What = SocketEvent.Kind.Binary, Bytes = whole });
            }
        }

        static async Task Write(ClientWebSocket socket, BlockingCollection<object> messages, CancellationToken token)
        {
            foreach (object message in messages.GetConsumingEnumerable(token))
            {
                byte[] bytes = message as byte[] ?? Encoding.UTF8.GetBytes((string)message);
                WebSocketMessageType type = message is byte[] ? WebSocketMessageType.Binary : WebSocketMessageType.Text;
                await socket.SendAsync(new ArraySegment<byte>(bytes), type, true, token).ConfigureAwait(false);
            }
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", token).ConfigureAwait(false);
        }
    }
}

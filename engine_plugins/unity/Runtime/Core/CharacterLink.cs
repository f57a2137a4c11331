using System;
using System.Collections.Generic;

namespace Npc.Core
{
    /// <summary>
    /// A client and its socket, driven by one call per frame: connects, reconnects with growing delays, resumes, and moves messages.
    /// </summary>
    public sealed class CharacterLink
    {
        readonly CharacterClient client;
        readonly ISocket socket;
        readonly Func<double> random;
        readonly List<SocketEvent> events = new List<SocketEvent>();
        double retryAtMs = double.NegativeInfinity;
        bool open;
        bool waiting;

        public CharacterLink(CharacterClient client, ISocket socket, Func<double> random)
        {
            this.client = client;
            this.socket = socket;
            this.random = random;
        }

        /// <summary>connecting, open, waiting or over.</summary>
        public string State { get; private set; }

        public void Start()
        {
            State = "connecting";
            socket.Connect(client.Connect());
        }

        /// <summary>Once per frame, before <see cref="CharacterClient.Step"/>.</summary>
        public void Update(double nowMs)
        {
            events.Clear();
            socket.Poll(events);
            foreach (SocketEvent happened in events) Take(happened, nowMs);
            if (waiting && nowMs >= retryAtMs)
            {
                waiting = false;
                Start();
            }
            while (open && client.Outgoing.Count > 0) socket.Send(client.Outgoing.Dequeue());
        }

        public void Stop()
        {
            waiting = open = false;
            State = "over";
            socket.Close();
        }

        void Take(SocketEvent happened, double nowMs)
        {
            switch (happened.What)
            {
                case SocketEvent.Kind.Opened:
                    open = true;
                    State = "open";
                    client.Opened();
                    break;
                case SocketEvent.Kind.Text: client.ReceiveText(happened.Text); break;
                case SocketEvent.Kind.Binary: client.ReceiveBinary(happened.Bytes); break;
                case SocketEvent.Kind.Closed: Lost(happened.Code, nowMs); break;
            }
        }

        void Lost(int code, double nowMs)
        {
            if (State == "over") return;
            open = false;
            double delay = client.Closed(code, random());
            waiting = delay >= 0;
            retryAtMs = nowMs + delay;
            State = waiting ? "waiting" : "over";
        }
    }
}

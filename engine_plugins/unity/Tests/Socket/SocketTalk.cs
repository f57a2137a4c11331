using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using Npc.Core;
using Npc.Net;

/// <summary>
/// ClientSocket alone: mono SocketTalk.exe URL leave|left. "leave" says a word and closes; "left" goes on sending, as a game loop does,
/// until it has heard that the server closed. Prints the close code heard, or 0.
/// </summary>
public static class SocketTalk
{
    public static int Main(string[] arguments)
    {
        ClientSocket socket = new ClientSocket();
        socket.Connect(new ConnectPlan { Url = arguments[0], Protocols = new List<string> { "realtime" } });
        List<SocketEvent> events = new List<SocketEvent>();
        Stopwatch clock = Stopwatch.StartNew();
        bool open = false;
        while (clock.ElapsedMilliseconds < 8000)
        {
            events.Clear();
            socket.Poll(events);
            foreach (SocketEvent one in events)
            {
                open |= one.What == SocketEvent.Kind.Opened;
                if (one.What == SocketEvent.Kind.Closed) { Console.WriteLine(one.Code); return 0; }
            }
            if (open && arguments[1] == "leave")
            {
                socket.Send("hello");
                socket.Close();
                Thread.Sleep(1500);
                Console.WriteLine(0);
                return 0;
            }
            // Between two polls the server's close may come at any moment.
            for (int i = 0; open && i < 50; i++) { socket.Send("on"); Thread.Sleep(1); }
        }
        return 1;
    }
}

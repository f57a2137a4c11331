using System;
using System.Linq;
using System.Text;
using System.Threading;
using Newtonsoft.Json.Linq;
using Npc.Core;
using Npc.Net;

/// <summary>
/// A session with a live server: LiveTalk.exe URL SPOKEN.pcm ACTION_TEXT. Says the recording (PCM16, 24 kHz), plays the answer on a
/// virtual loudspeaker, asks by typing for an action and answers it, then cuts in on the next reply. Prints one JSON object.
/// </summary>
public sealed class LiveTalk : ICharacterEvents
{
    const int Rate = 24000;
    /// <summary>What a quick player needs before answering.</summary>
    const double PlayerSeconds = 0.5;
    const int Block = Rate / 50;
    readonly StringBuilder heard = new StringBuilder();
    readonly StringBuilder words = new StringBuilder();
    readonly JArray actions = new JArray();
    readonly JArray problems = new JArray();
    CharacterClient client;
    CharacterLink link;
    double nowMs;
    long voiced;
    float widestJaw;
    string status = "";
    int completed;

    public static int Main(string[] arguments)
    {
        LiveTalk talk = new LiveTalk();
        byte[] bytes = System.IO.File.ReadAllBytes(arguments[1]);
        short[] spoken = new short[bytes.Length / 2];
        Buffer.BlockCopy(bytes, 0, spoken, 0, spoken.Length * 2);
        Console.WriteLine(talk.Run(arguments[0], spoken, arguments[2]).ToString(Newtonsoft.Json.Formatting.None));
        return 0;
    }

    JObject Run(string url, short[] spoken, string actionText)
    {
        JObject session = JObject.Parse("{npc:{transport:{audio:'binary',animation:'binary'},cues:{blendshapes:'arkit52'},player:{id:'csharp'}}}");
        client = new CharacterClient(url, session, this, null, Rate);
        link = new CharacterLink(client, new ClientSocket(), () => 0.0);
        link.Start();
        Until(() => client.Channels.Length > 0, 10);
        Until(() => completed >= 1 && Idle, 60); // the greeting, which waits until the character is loaded
        long greeting = voiced;
        Speak(spoken);
        Until(() => completed >= 2 && Idle, 30);
        long voicedTurn = voiced - greeting;
        Until(() => false, PlayerSeconds);
        client.Say(actionText);
        Until(() => completed >= 3 && actions.Count > 0 && Idle, 30);
        Until(() => false, PlayerSeconds);
        client.Say("Tell me everything you know about this place.");
        Until(() => client.Audio.State == PlayState.Playing && client.Audio.Played > Rate / 2, 30);
        client.Send(new JObject { { "type", "response.cancel" } });
        Until(() => status == "cancelled", 10);
        Until(() => false, 0.16);
        string afterCut = client.Audio.State.ToString();
        link.Stop();
        return new JObject
        {
            { "heard", heard.ToString().Trim() }, { "words", words.ToString().Trim() }, { "voiced_samples", voicedTurn }, { "widest_jaw", widestJaw },
            { "actions", actions }, { "problems", problems }, { "cancel_status", status }, { "after_cut", afterCut },
            { "mouth_after_cut", client.Pose.Length == 0 ? 1f : client.Pose.Max() },
        };
    }

    bool Idle { get { return client.Audio.State == PlayState.Idle; } }

    void Speak(short[] spoken)
    {
        short[] block = new short[Block];
        for (int at = 0; at + Block <= spoken.Length; at += Block)
        {
            Array.Copy(spoken, at, block, 0, Block);
            client.SendAudio(block, Block);
            Tick();
        }
        Array.Clear(block, 0, Block);
        for (int i = 0; i < 100; i++)
        {
            client.SendAudio(block, Block);
            Tick();
        }
    }

    void Until(Func<bool> condition, double seconds)
    {
        double end = nowMs + seconds * 1000;
        while (!condition() && nowMs < end) Tick();
    }

    /// <summary>20 ms of the virtual loudspeaker, in real time.</summary>
    void Tick()
    {
        short[] output = new short[Block];
        link.Update(nowMs);
        voiced += client.Audio.Pull(output, Block);
        client.Step(nowMs, 0);
        if (client.Channels.Length > 0) widestJaw = Math.Max(widestJaw, client.Pose[Array.IndexOf(client.Channels, "jawOpen")]);
        foreach (Cue cue in client.Due.Where(cue => cue.Kind == "word")) words.Append(cue.Name).Append(' ');
        Thread.Sleep(20);
        nowMs += 20;
    }

    public void OnEvent(string type, JObject message)
    {
        if (type == "conversation.item.input_audio_transcription.completed") heard.Append((string)message["transcript"]).Append(' ');
        if (type != "response.done") return;
        status = (string)message.SelectToken("response.status");
        if (status == "completed") completed++;
    }

    public void OnAction(string callId, string name, JObject arguments)
    {
        actions.Add(new JObject { { "name", name }, { "arguments", arguments } });
        client.ActionResult(callId, new JObject { { "ok", true } });
    }

    public void OnActionCancelled(string callId, string name, bool undo) { }
    public void OnProblem(string message) { problems.Add(message); }
}

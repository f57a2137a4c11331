using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Newtonsoft.Json.Linq;
using Npc.Core;

/// <summary>Plays the conformance vectors against the C# core: Runner.exe FOLDER. Prints what failed; exit status 1 if anything did.</summary>
public sealed class Runner : ICharacterEvents
{
    CharacterClient client;
    int problems;
    readonly List<string> failures = new List<string>();
    string where = "";

    public static int Main(string[] arguments)
    {
        int failed = 0;
        string[] files = Directory.GetFiles(arguments[0], "*.json").OrderBy(file => file).ToArray();
        foreach (string file in files)
        {
            Runner runner = new Runner();
            runner.Play(JObject.Parse(File.ReadAllText(file)));
            foreach (string failure in runner.failures) Console.WriteLine(Path.GetFileName(file) + ": " + failure);
            if (runner.failures.Count > 0) failed++;
        }
        Console.WriteLine((files.Length - failed) + " passed, " + failed + " failed");
        return failed == 0 && files.Length > 0 ? 0 : 1;
    }

    public void OnEvent(string type, JObject message) { }
    public void OnAction(string callId, string name, JObject arguments) { }
    public void OnActionCancelled(string callId, string name, bool undo) { }
    public void OnProblem(string message) { problems++; }

    void Play(JObject vector)
    {
        client = new CharacterClient("ws://host/v1/realtime?model=a", null, this, null, (int)vector["rate"]);
        int index = 0;
        foreach (JToken token in (JArray)vector["steps"])
        {
            JObject step = (JObject)token;
            where = "step " + index++ + " " + step["do"];
            client.Outgoing.Clear();
            problems = 0;
            Do(step);
            if (step["error"] != null) Same("error", (bool)step["error"], problems > 0);
            if (step["sent"] != null) Sent((JArray)step["sent"]);
            if (step["heard"] != null) Same("audio sent from", string.Join(" ", step["heard"].ToObject<long[]>()), string.Join(" ", client.Outgoing.OfType<byte[]>().Select(frame => BitConverter.ToInt64(frame, 8))));
        }
    }

    void Do(JObject step)
    {
        switch ((string)step["do"])
        {
            case "connect": Connect(step); break;
            case "opened": client.Opened(); break;
            case "text": client.ReceiveText(step["event"].ToString()); break;
            case "binary": client.ReceiveBinary(Bytes((string)step["hex"])); break;
            case "pull": Pull(step); break;
            case "step": Step(step); break;
            case "closed": Closed(step); break;
            case "hear": client.SendAudio(new short[(int)step["samples"]], (int)step["samples"]); break;
            case "say": client.Say((string)step["text"]); break;
            case "idle": Idle(step); break;
            case "random": Random(step); break;
            case "life": Life(step); break;
            default: failures.Add(where + ": unknown step"); break;
        }
    }

    void Connect(JObject step)
    {
        ConnectPlan plan = client.Connect();
        foreach (JToken part in (JArray)step["url_has"]) Same("url has " + part, true, plan.Url.Contains((string)part));
        if (step["url_lacks"] != null) foreach (JToken part in (JArray)step["url_lacks"]) Same("url has " + part, false, plan.Url.Contains((string)part));
        Same("protocols", string.Join(" ", step["protocols"].ToObject<string[]>()), string.Join(" ", plan.Protocols.ToArray()));
    }

    void Pull(JObject step)
    {
        int count = (int)step["samples"];
        short[] output = new short[count];
        client.Audio.Pull(output, count);
        if (step["silent"] != null) Same("silent", true, output.All(sample => sample == 0));
        if (step["first"] != null) Same("first", (int)step["first"], (int)output[0]);
        if (step["last"] != null) Same("last", (int)step["last"], (int)output[count - 1]);
        if (step["played"] != null) Same("played", (long)step["played"], client.Audio.Played);
        if (step["state"] != null) Same("state", (string)step["state"], client.Audio.State.ToString().ToLowerInvariant());
    }

    void Step(JObject step)
    {
        client.Step((double)step["ms"], (double)step["latency"]);
        if (step["cues"] != null) Same("cues", string.Join(" ", step["cues"].ToObject<string[]>()), string.Join(" ", client.Due.Select(cue => cue.Name).ToArray()));
        if (step["sample"] != null) Same("sample", (double)step["sample"], client.HeardSample);
        if (step["ordinal"] != null) Same("ordinal", (uint)step["ordinal"], client.Audio.Ordinal);
        if (step["weights"] == null) return;
        foreach (JProperty wanted in ((JObject)step["weights"]).Properties())
        {
            float got = client.Pose[Array.IndexOf(client.Channels, wanted.Name)];
            if (Math.Abs(got - (float)wanted.Value) > 0.005f) failures.Add(where + ": " + wanted.Name + " is " + got + ", expected " + wanted.Value);
        }
    }

    void Closed(JObject step)
    {
        double delay = client.Closed((int)step["code"], 0);
        if (step["final"] != null) Same("final", true, delay < 0);
        else Same("retry_ms", (double)step["retry_ms"], delay);
    }

    void Idle(JObject step)
    {
        IdlePose pose = new IdleMotion((uint)step["seed"]).At((int)step["ms"]);
        JObject wanted = (JObject)step["pose"];
        Near("blink", (double)wanted["blink"], pose.Blink);
        Near("eye_yaw", (double)wanted["eye_yaw"], pose.EyeYaw);
        Near("eye_pitch", (double)wanted["eye_pitch"], pose.EyePitch);
        Near("chest", (double)wanted["chest"], pose.Chest);
        Near("head_yaw", (double)wanted["head_yaw"], pose.HeadYaw);
        Near("head_pitch", (double)wanted["head_pitch"], pose.HeadPitch);
        Near("head_roll", (double)wanted["head_roll"], pose.HeadRoll);
    }

    void Life(JObject step)
    {
        IdleFace face = new IdleFace((uint)step["seed"]);
        string[] channels = step["channels"].ToObject<string[]>();
        foreach (JToken frame in (JArray)step["frames"])
        {
            float[] pose = new float[channels.Length];
            face.Step((double)frame["ms"], (bool)frame["sounding"], channels, pose);
            float[] wanted = frame["weights"].ToObject<float[]>();
            for (int c = 0; c < channels.Length; c++) Near(channels[c], wanted[c], pose[c]);
        }
    }

    void Near(string what, double wanted, double got)
    {
        if (Math.Abs(wanted - got) > 1e-4) failures.Add(where + ": " + what + " is " + got + ", expected " + wanted);
    }

    void Random(JObject step)
    {
        SeededRandom source = new SeededRandom((uint)step["seed"], (uint)step["stream"]);
        foreach (JToken wanted in (JArray)step["integers"]) Same("integer", (uint)wanted, source.Next());
    }

    void Sent(JArray wanted)
    {
        List<JObject> sent = client.Outgoing.OfType<string>().Select(JObject.Parse).ToList();
        Same("messages sent", wanted.Count, sent.Count);
        for (int i = 0; i < Math.Min(wanted.Count, sent.Count); i++)
            foreach (JProperty field in ((JObject)wanted[i]).Properties())
                if (!JToken.DeepEquals(field.Value, sent[i][field.Name])) failures.Add(where + ": sent " + field.Name + " is " + sent[i][field.Name] + ", expected " + field.Value);
    }

    void Same<T>(string what, T wanted, T got)
    {
        if (!EqualityComparer<T>.Default.Equals(wanted, got)) failures.Add(where + ": " + what + " is " + got + ", expected " + wanted);
    }

    static byte[] Bytes(string hex)
    {
        byte[] bytes = new byte[hex.Length / 2];
        for (int i = 0; i < bytes.Length; i++) bytes[i] = Convert.ToByte(hex.Substring(2 * i, 2), 16);
        return bytes;
    }
}

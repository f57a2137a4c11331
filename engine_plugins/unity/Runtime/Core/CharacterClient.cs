using System;
using System.Collections.Generic;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace Npc.Core
{
    /// <summary>What the engine side is told. All calls come from the thread that calls Receive or Step.</summary>
    public interface ICharacterEvents
    {
        /// <summary>Any event of the server, as JSON; type is its "type".</summary>
        void OnEvent(string type, JObject message);
        /// <summary>A game action the character takes: call <see cref="CharacterClient.ActionResult"/> when it is done.</summary>
        void OnAction(string callId, string name, JObject arguments);
        /// <summary>An announced action will not happen (or must be undone).</summary>
        void OnActionCancelled(string callId, string name, bool undo);
        /// <summary>Something for the log: a bad frame, an error event.</summary>
        void OnProblem(string message);
    }

    /// <summary>What a socket must do next: connect here, with these sub-protocols.</summary>
    public struct ConnectPlan
    {
        public string Url;
        public List<string> Protocols;
    }

    /// <summary>
    /// One conversation without socket, engine, clock or thread: bytes and events in, samples, cues, poses and messages out.
    /// The owner moves <see cref="Outgoing"/> to its socket, calls Pull from the audio thread and Step once per rendered frame.
    /// </summary>
    public sealed class CharacterClient
    {
        sealed class Spoken
        {
            public string ResponseId;
            public string ItemId;
            public uint Ordinal;
            public CueQueue Cues = new CueQueue();
            public BlendshapeTrack Track;
        }

        /// <summary>Milliseconds between two playback reports.</summary>
        public const int ReportEveryMs = 100;
        /// <summary>Messages kept until the server is known to have them; a second of 20 ms audio frames is 50.</summary>
        const int KeptMessages = 1024;
        /// <summary>An interrupted face is at rest after this long.</summary>
        public const float RestSeconds = 0.12f;
        /// <summary>A cue on the input clock that is later than this is not worth showing.</summary>
        public const int LateMs = 500;
        // Ended, bad ticket, wrong version, replaced by another connection, abuse.
        static readonly HashSet<int> FinalCodes = new HashSet<int> { 1000, 4000, 4401, 4406, 4409, 4429 };

        /// <summary>The server no longer has the session: the next connection starts a new one.</summary>
        const int SessionGone = 4404;

        readonly string url;
        readonly string key;
        readonly JObject session;
        readonly ICharacterEvents listener;
        readonly int rate;
        readonly List<Spoken> spoken = new List<Spoken>();
        readonly HashSet<uint> stale = new HashSet<uint>();
        CueQueue inputCues = new CueQueue();
        readonly List<object> kept = new List<object>();
        long sent;
        string resumeToken;
        // From a lost socket to the next session, or to what the server says of our messages (npc.resumed).
        bool away;
        long inputSamples;
        int attempt;
        double lastReportMs = double.NegativeInfinity;
        uint reported;
        double flushedMs = double.NegativeInfinity;
        double lastStepMs;
        float[] flushedPose = new float[0];

        public CharacterClient(string url, JObject session, ICharacterEvents listener, string key = null, int rate = 24000)
        {
            this.url = url;
            this.key = key;
            this.session = session ?? new JObject();
            this.listener = listener;
            this.rate = rate;
            Audio = new JitterBuffer(rate);
            Channels = new string[0];
            Pose = new float[0];
        }

        public readonly Queue<object> Outgoing = new Queue<object>();
        public readonly JitterBuffer Audio;
        public readonly List<Cue> Due = new List<Cue>();
        /// <summary>Names of the blendshape channels, in the order of <see cref="Pose"/>; empty until the session is created.</summary>
        public string[] Channels { get; private set; }
        public float[] Pose { get; private set; }
        public uint IdleSeed { get; private set; }
        public long Seq { get; private set; }
        /// <summary>Sample of the item that sounds at the ear, after the last Step.</summary>
        public double HeardSample { get; private set; }

        public ConnectPlan Connect()
        {
            string separator = url.IndexOf('?') < 0 ? "?" : "&";
            ConnectPlan plan = new ConnectPlan { Url = url + separator + "npc=1", Protocols = new List<string> { "realtime" } };
            if (resumeToken != null)
            {
                plan.Url += "&after=" + Seq;
                plan.Protocols.Add("npc-resume." + resumeToken);
            }
            if (key != null) plan.Protocols.Add("openai-insecure-api-key." + key);
            return plan;
        }

        public void Opened()
        {
            attempt = 0;
            if (resumeToken != null) return; // what goes out before the server has said what arrived would go out twice
            object[] early = Outgoing.ToArray();
            away = false;
            sent = inputSamples = 0;
            kept.Clear();
            Outgoing.Clear();
            JObject wanted = (JObject)session.DeepClone();
            wanted["type"] = "realtime";
            if (wanted["npc"] == null) wanted["npc"] = new JObject();
            Send(new JObject { { "type", "session.update" }, { "session", wanted } });
            foreach (object message in early) if (message is string) Post(message);
        }

        /// <summary>Milliseconds to wait before connecting again, or -1 when trying again cannot help. random is in [0, 1).</summary>
        public double Closed(int code, double random)
        {
            Outgoing.Clear(); // all of it is kept, and goes out again after a resume
            away = true;
            if (FinalCodes.Contains(code)) return -1;
            if (code == SessionGone) Forget();
            double delay = Math.Min(5000, 200 * Math.Pow(2, Math.Min(attempt, 20))) * (1 - 0.25 * random);
            attempt++;
            return delay;
        }

        /// <summary>The next session counts its messages, samples and replies from the start.</summary>
        void Forget()
        {
            resumeToken = null;
            Seq = inputSamples = 0;
            inputCues = new CueQueue();
            spoken.Clear();
            stale.Clear();
            reported = 0;
            Audio.Clear();
        }

        public void ReceiveText(string text)
        {
            JObject message;
            try { message = JObject.Parse(text); }
            catch (JsonException error) { listener.OnProblem("not JSON: " + error.Message); return; }
            string type = message["type"] is JValue ? (string)message["type"] ?? "" : "";
            try { if (!TakeEvent(type, message)) return; }
            catch (Exception error)
            {
                // Fields that are missing or of another kind: one event is lost, the game's frame goes on.
                if (!(error is InvalidCastException || error is ArgumentException || error is FormatException || error is OverflowException || error is NullReferenceException || error is InvalidOperationException)) throw;
                listener.OnProblem(type + ": " + error.Message);
            }
            listener.OnEvent(type, message);
        }

        /// <summary>What the event means to the core. False: it came before.</summary>
        bool TakeEvent(string type, JObject message)
        {
            JToken number = message["npc_seq"];
            if (number != null)
            {
                if ((long)number <= Seq) return false;
                Seq = (long)number;
            }
            switch (type)
            {
                case "session.created": case "session.updated": TakeSession(message["session"] as JObject); break;
                case "npc.resumed": TakeResumed(message); break;
                case "response.created": TakeResponse(message["response"] as JObject); break;
                case "response.output_item.added": TakeItem(message); break;
                case "npc.cues": TakeCues(message); break;
                case "npc.output": TakeOutput(message); break;
                case "npc.action.cancelled": listener.OnActionCancelled((string)message["call_id"], (string)message["name"], (bool?)message["undo"] ?? false); break;
                case "response.function_call_arguments.done": TakeCall(message); break;
                case "error": listener.OnProblem((string)message.SelectToken("error.message") ?? "error"); break;
            }
            return true;
        }

        public void ReceiveBinary(byte[] bytes)
        {
            Seq++; // a binary frame takes the next number without carrying it
            Frame frame;
            try { frame = Frame.Decode(bytes); }
            catch (FrameException error) { listener.OnProblem(error.Message); return; }
            if (stale.Contains(frame.Ordinal)) return;
            try { Take(frame); }
            catch (FrameException error) { listener.OnProblem(error.Message); }
        }

        void Take(Frame frame)
        {
            if (frame.Kind == FrameKind.OutputAudio) { Audio.Push(frame); return; }
            Spoken item = spoken.Find(one => one.Ordinal == frame.Ordinal);
            if (item == null || Channels.Length == 0) return;
            if (item.Track == null) item.Track = new BlendshapeTrack(Channels.Length);
            item.Track.Add(frame);
        }

        /// <summary>Once per rendered frame: fills <see cref="Due"/> and <see cref="Pose"/>, and reports playback.</summary>
        public void Step(double nowMs, double latencySeconds)
        {
            Due.Clear();
            inputCues.Due(inputSamples, Due);
            Due.RemoveAll(cue => inputSamples - cue.At > rate * LateMs / 1000);
            ReportFinished();
            Spoken item = spoken.Find(one => one.Ordinal == Audio.Ordinal);
            HeardSample = Audio.Played - latencySeconds * rate;
            if (item != null && !stale.Contains(item.Ordinal))
            {
                item.Cues.Due((long)HeardSample, Due);
                if (item.Track != null) item.Track.Sample(HeardSample, rate, Pose);
                Report(item, nowMs);
                return;
            }
            float keep = (float)Math.Max(0, 1 - (nowMs - flushedMs) / (1000 * RestSeconds));
            for (int c = 0; c < Pose.Length; c++) Pose[c] = c < flushedPose.Length ? flushedPose[c] * keep : 0f;
        }

        /// <summary>The player's sound. While the socket is away it is dropped: it would arrive stale.</summary>
        public void SendAudio(short[] pcm, int count)
        {
            if (away) return;
            Post(Frame.EncodeInput(pcm, count, inputSamples));
            inputSamples += count;
        }

        public void Say(string text)
        {
            JArray content = new JArray { new JObject { { "type", "input_text" }, { "text", text } } };
            Send(Item(new JObject { { "type", "message" }, { "role", "user" }, { "content", content } }));
            Send(new JObject { { "type", "response.create" } });
        }

        public void ActionResult(string callId, JToken output)
        {
            Send(Item(new JObject { { "type", "function_call_output" }, { "call_id", callId }, { "output", output.ToString(Formatting.None) } }));
        }

        public void SceneUpdate(JObject scene)
        {
            JObject message = (JObject)scene.DeepClone();
            message["type"] = "npc.scene.update";
            Send(message);
        }

        /// <summary>Send any client event. While the socket is away it waits for the resume or the next session.</summary>
        public void Send(JObject message) { Post(message.ToString(Formatting.None)); }

        void Post(object message)
        {
            sent++;
            kept.Add(message);
            if (kept.Count > KeptMessages) kept.RemoveAt(0);
            if (!away || resumeToken == null) Outgoing.Enqueue(message);
        }

        /// <summary>First on a resumed socket: the next token, and how many of our messages arrived; the rest goes out again.</summary>
        void TakeResumed(JObject message)
        {
            resumeToken = (string)message["token"];
            away = false;
            long lost = Math.Min(kept.Count, Math.Max(0, sent - (long)message["received"]));
            Outgoing.Clear();
            for (int i = kept.Count - (int)lost; i < kept.Count; i++) Outgoing.Enqueue(kept[i]);
        }

        static JObject Item(JObject item) { return new JObject { { "type", "conversation.item.create" }, { "item", item } }; }

        void TakeSession(JObject made)
        {
            JToken npc = made == null ? null : made["npc"];
            if (npc == null || npc.Type != JTokenType.Object) return;
            JToken token = npc.SelectToken("resume.token");
            if (token != null) resumeToken = (string)token;
            JArray names = npc.SelectToken("capabilities.blendshapes") as JArray;
            if (names == null) return;
            Channels = names.ToObject<string[]>();
            Pose = new float[Channels.Length];
            IdleSeed = (uint?)npc.SelectToken("capabilities.idle_seed") ?? 0;
        }

        void TakeResponse(JObject response)
        {
            JToken ordinal = response == null ? null : response.SelectToken("npc.ordinal");
            if (ordinal == null) return;
            spoken.Add(new Spoken { ResponseId = (string)response["id"], Ordinal = (uint)ordinal });
            if (spoken.Count > 8) spoken.RemoveAt(0);
        }

        void TakeItem(JObject message)
        {
            Spoken item = spoken.Find(one => one.ResponseId == (string)message["response_id"]);
            if (item != null && item.ItemId == null && (string)message.SelectToken("item.type") == "message") item.ItemId = (string)message.SelectToken("item.id");
        }

        void TakeCues(JObject message)
        {
            bool ofInput = (string)message["clock"] == "input";
            Spoken item = spoken.Find(one => one.ResponseId == (string)message["response_id"]);
            if (!ofInput && (item == null || stale.Contains(item.Ordinal))) return;
            foreach (JToken entry in (message["cues"] as JArray ?? new JArray()))
            {
                Cue cue = new Cue
                {
                    Kind = (string)entry["kind"] ?? "", Name = (string)entry["name"] ?? "", At = (long?)entry["at"] ?? 0,
                    Until = (long?)entry["until"] ?? (long?)entry["at"] ?? 0, Weight = (float?)entry["weight"] ?? 1f,
                    Target = (string)entry["target"] ?? "", CallId = (string)entry["call_id"] ?? "",
                };
                if (ofInput) inputCues.Add(cue); else item.Cues.Add(cue);
            }
        }

        void TakeOutput(JObject message)
        {
            Spoken item = spoken.Find(one => one.ResponseId == (string)message["response_id"]);
            switch ((string)message["action"])
            {
                case "pause": Audio.Pause(); break;
                case "duck": Audio.Duck((float?)message["gain"] ?? 0.2f); break;
                case "resume": Audio.Resume(); break;
                case "flush": if (item != null) Flush(item); break;
            }
        }

        void Flush(Spoken item)
        {
            bool sounding = Audio.Ordinal == item.Ordinal;
            long heard = sounding ? Audio.Played : 0;
            stale.Add(item.Ordinal);
            Audio.Flush(item.Ordinal);
            flushedPose = (float[])Pose.Clone();
            flushedMs = lastStepMs;
            if (item.ItemId != null) SendPlayback(item, heard, "stopped");
        }

        void ReportFinished()
        {
            KeyValuePair<uint, long> ended;
            while (Audio.TakeFinished(out ended))
            {
                Spoken item = spoken.Find(one => one.Ordinal == ended.Key);
                if (item != null && item.ItemId != null) SendPlayback(item, ended.Value, "finished");
            }
        }

        void Report(Spoken item, double nowMs)
        {
            lastStepMs = nowMs;
            // Idle, or priming the next item: this one has ended and was reported.
            if (item.ItemId == null || Audio.Played == 0 || Audio.State == PlayState.Idle || Audio.State == PlayState.Priming) return;
            if (item.Ordinal == reported && nowMs - lastReportMs < ReportEveryMs) return;
            reported = item.Ordinal;
            lastReportMs = nowMs;
            SendPlayback(item, Audio.Played, "playing");
        }

        void SendPlayback(Spoken item, long played, string state)
        {
            Send(new JObject
            {
                { "type", "npc.playback" }, { "response_id", item.ResponseId }, { "item_id", item.ItemId }, { "played_samples", played }, { "state", state },
            });
        }

        void TakeCall(JObject message)
        {
            JObject arguments;
            try { arguments = JObject.Parse((string)message["arguments"] ?? "{}"); }
            catch (JsonException) { arguments = new JObject(); }
            listener.OnAction((string)message["call_id"], (string)message["name"], arguments);
        }
    }
}

using System;
using System.Collections.Generic;
using Newtonsoft.Json.Linq;
using Npc.Core;
using UnityEngine;
using UnityEngine.Events;

namespace Npc.Unity
{
    /// <summary>An action of the character that reached its word: name, arguments as JSON, and the id to answer with.</summary>
    [Serializable] public sealed class ActionEvent : UnityEvent<string, string, string> { }
    [Serializable] public sealed class TextEvent : UnityEvent<string> { }

    /// <summary>
    /// One character of the npc service. Put it on the object that speaks, with an AudioSource and an NpcFace beside it; everything
    /// that moves follows the samples the AudioSource has played.
    /// </summary>
    [AddComponentMenu("NPC/NPC Character")]
    [RequireComponent(typeof(NpcVoice))]
    public sealed class NpcCharacter : MonoBehaviour, ICharacterEvents
    {
        [Tooltip("ws://127.0.0.1:8765 on this machine, wss://… elsewhere")] public string server = "ws://127.0.0.1:8765";
        [Tooltip("Id of the character on the server")] public string character = "sela-marrow";
        [Tooltip("API key or short-lived ticket; empty on loopback")] public string key = "";
        [Tooltip("Id under which the character remembers this player")] public string playerId = "player";
        public bool connectOnStart = true;
        public TextEvent onCaption = new TextEvent();
        public TextEvent onHeard = new TextEvent();
        public TextEvent onEmotion = new TextEvent();
        public ActionEvent onAction = new ActionEvent();
        public TextEvent onActionCancelled = new TextEvent();
        public TextEvent onProblem = new TextEvent();

        public CharacterClient Client { get; private set; }
        public string ConnectionState { get { return link == null ? "off" : link.State; } }
        /// <summary>Cues that became due in this frame.</summary>
        public List<Cue> Due { get { return Client.Due; } }

        CharacterLink link;
        NpcVoice voice;
        NpcFace face;
        string caption = "";

        void Awake()
        {
            Application.runInBackground = true;
            voice = GetComponent<NpcVoice>();
            face = GetComponent<NpcFace>();
        }

        void Start() { if (connectOnStart) Connect(); }

        public void Connect()
        {
            Disconnect();
            string url = server.TrimEnd('/') + "/v1/realtime?model=" + Uri.EscapeDataString(character);
            Client = new CharacterClient(url, Wanted(), this, string.IsNullOrEmpty(key) ? null : key, NpcVoice.Rate);
            link = new CharacterLink(Client, NewSocket(), () => UnityEngine.Random.value);
            voice.Use(Client.Audio);
            link.Start();
        }

        public void Disconnect()
        {
            if (link != null) link.Stop();
            link = null;
        }

        /// <summary>A typed turn.</summary>
        public void Say(string text) { if (Client != null) Client.Say(text); }

        /// <summary>Tell the character how its action ended; output is any JSON value.</summary>
        public void FinishAction(string callId, bool ok, string note)
        {
            if (Client != null) Client.ActionResult(callId, new JObject { { "ok", ok }, { "note", note } });
        }

        /// <summary>Tell the character what it sees: an npc.scene.update as JSON, e.g. {"entities":[{"id":"chest","name":"left chest"}]}.</summary>
        public void SetScene(string json) { if (Client != null) Client.SceneUpdate(JObject.Parse(json)); }

        void Update()
        {
            if (link == null) return;
            double nowMs = Time.realtimeSinceStartupAsDouble * 1000.0;
            link.Update(nowMs);
            Client.Step(nowMs, voice.OutputLatencySeconds);
            if (face != null) face.Show(Client, nowMs);
            foreach (Cue cue in Client.Due)
            {
                if (cue.Kind == "word") { caption = caption.Length == 0 ? cue.Name : caption + " " + cue.Name; onCaption.Invoke(caption); }
                if (cue.Kind == "emotion") onEmotion.Invoke(cue.Name);
            }
        }

        void OnDestroy() { Disconnect(); }

        static ISocket NewSocket()
        {
#if UNITY_WEBGL && !UNITY_EDITOR
            return new WebGlSocket();
#else
            return new Npc.Net.ClientSocket();
#endif
        }

        JObject Wanted()
        {
            JObject wanted = JObject.Parse(@"{'npc': {'transport': {'audio': 'binary', 'animation': 'binary', 'lead_ms': 200},
                'cues': {'visemes': 'oculus15', 'blendshapes': 'arkit52', 'fps': 60, 'words': true, 'gestures': true, 'gaze': true, 'emotion': true}}}");
            wanted["npc"]["player"] = new JObject { { "id", playerId } };
            return wanted;
        }

        void ICharacterEvents.OnEvent(string type, JObject message)
        {
            if (type == "response.created") caption = "";
            if (type == "conversation.item.input_audio_transcription.completed") onHeard.Invoke((string)message["transcript"] ?? "");
        }

        void ICharacterEvents.OnAction(string callId, string name, JObject arguments) { onAction.Invoke(callId, name, arguments.ToString()); }
        void ICharacterEvents.OnActionCancelled(string callId, string name, bool undo) { onActionCancelled.Invoke(callId); }
        void ICharacterEvents.OnProblem(string message) { Debug.LogWarning("NPC " + character + ": " + message, this); onProblem.Invoke(message); }
    }
}

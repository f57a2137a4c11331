// Declarations only, so that the Unity layer can be compiled where there is no Unity. Nothing here runs; signatures follow Unity 2021.3.
using System;

namespace UnityEngine
{
    public class Object { public static implicit operator bool(Object one) { return one != null; } }
    public class Component : Object { public T GetComponent<T>() { throw new NotSupportedException(); } public T[] GetComponentsInChildren<T>() { throw new NotSupportedException(); } }
    public class Behaviour : Component { }
    public sealed class Transform : Component { public Quaternion localRotation { get; set; } }
    public struct Quaternion
    {
        public static Quaternion identity { get { return new Quaternion(); } }
        public static Quaternion Euler(float x, float y, float z) { return new Quaternion(); }
        public static Quaternion operator *(Quaternion a, Quaternion b) { return a; }
    }
    public class MonoBehaviour : Behaviour { }
    public sealed class AudioSource : Behaviour { public AudioClip clip; public bool loop; public void Play() { } }
    public sealed class AudioClip : Object
    {
        public int samples { get { return 0; } }
        public int frequency { get { return 0; } }
        public static AudioClip Create(string name, int lengthSamples, int channels, int frequency, bool stream) { throw new NotSupportedException(); }
        public bool GetData(float[] data, int offsetSamples) { throw new NotSupportedException(); }
    }
    public static class AudioSettings { public static int outputSampleRate { get { return 0; } } public static void GetDSPBufferSize(out int bufferLength, out int numBuffers) { bufferLength = numBuffers = 0; } }
    public static class Microphone
    {
        public static string[] devices { get { return new string[0]; } }
        public static AudioClip Start(string deviceName, bool loop, int lengthSec, int frequency) { throw new NotSupportedException(); }
        public static void End(string deviceName) { }
        public static int GetPosition(string deviceName) { return 0; }
    }
    public sealed class Mesh : Object { public int blendShapeCount { get { return 0; } } public string GetBlendShapeName(int shapeIndex) { return ""; } }
    public sealed class SkinnedMeshRenderer : Component { public Mesh sharedMesh; public void SetBlendShapeWeight(int index, float value) { } }
    public static class Mathf { public static float Clamp01(float value) { return value; } public static float Clamp(float value, float min, float max) { return value; } }
    public static class Random { public static float value { get { return 0f; } } }
    public static class Time { public static double realtimeSinceStartupAsDouble { get { return 0.0; } } }
    public static class Application { public static bool runInBackground; public static bool isPlaying { get { return false; } } }
    public static class Debug { public static void Log(object message) { } public static void LogWarning(object message, Object context) { } }
    public class GUILayoutOption { }
    public static class GUILayout { public static bool Button(string text, params GUILayoutOption[] options) { return false; } }
    [AttributeUsage(AttributeTargets.Field)] public sealed class TooltipAttribute : Attribute { public TooltipAttribute(string tooltip) { } }
    [AttributeUsage(AttributeTargets.Class)] public sealed class AddComponentMenu : Attribute { public AddComponentMenu(string menuName) { } }
    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)] public sealed class RequireComponent : Attribute { public RequireComponent(Type requiredComponent) { } }
}

namespace UnityEngine.Events
{
    public delegate void UnityAction<T0>(T0 arg0);
    public delegate void UnityAction<T0, T1, T2>(T0 arg0, T1 arg1, T2 arg2);
    public class UnityEvent<T0> { public void Invoke(T0 arg0) { } public void AddListener(UnityAction<T0> call) { } }
    public class UnityEvent<T0, T1, T2> { public void Invoke(T0 arg0, T1 arg1, T2 arg2) { } public void AddListener(UnityAction<T0, T1, T2> call) { } }
}

namespace UnityEditor
{
    public class Editor : UnityEngine.Object
    {
        public UnityEngine.Object target { get { return null; } }
        public bool DrawDefaultInspector() { return false; }
        public virtual void OnInspectorGUI() { }
        public virtual bool RequiresConstantRepaint() { return false; }
    }
    public enum MessageType { None, Info, Warning, Error }
    public static class EditorGUILayout
    {
        public static void HelpBox(string message, MessageType type) { }
        public static void LabelField(string label, string label2, params UnityEngine.GUILayoutOption[] options) { }
        public static string TextField(string label, string text, params UnityEngine.GUILayoutOption[] options) { return text; }
    }
    [AttributeUsage(AttributeTargets.Class)] public sealed class CustomEditor : Attribute { public CustomEditor(Type inspectedType) { } }
}

// Made by engine_plugins/conformance/constants.py from npc/protocol and npc/animation: change those, not this.
namespace Npc.Core
{
    public static class Generated
    {
        public const string ProtocolVersion = "1.0";
        public static readonly string[] Emotions = { "neutral", "joy", "trust", "fear", "surprise", "sadness", "disgust", "anger", "anticipation", "curiosity", "concern", "amusement", "pride", "relief", "shame" };
        public static readonly string[] Visemes = { "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou" };
        public static readonly string[] Blendshapes = { "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut" };
        public static readonly string[] Events = { "npc.action.cancelled", "npc.assessment", "npc.blendshapes", "npc.citations", "npc.cues", "npc.emotion", "npc.instructed", "npc.loaded", "npc.metrics", "npc.narrative", "npc.output", "npc.rehearsal", "npc.resumed", "npc.resync", "npc.room", "npc.saved", "npc.status", "npc.turn" };
        public static readonly int[] BlinkGapMs = { 926, 1148, 1285, 1392, 1484, 1566, 1641, 1711, 1777, 1840, 1901, 1960, 2018, 2075, 2130, 2185, 2240, 2294, 2347, 2401, 2455, 2508, 2562, 2616, 2671, 2726, 2781, 2837, 2894, 2952, 3010, 3070, 3131, 3192, 3256, 3321, 3387, 3455, 3526, 3598, 3673, 3751, 3831, 3915, 4002, 4094, 4190, 4291, 4398, 4511, 4632, 4762, 4902, 5055, 5223, 5409, 5618, 5858, 6138, 6476, 6903, 7480, 8374, 10000 };
        public static readonly int[] SaccadeGapMs = { 180, 211, 248, 277, 303, 327, 349, 370, 390, 410, 429, 447, 466, 484, 503, 521, 539, 558, 576, 594, 613, 632, 651, 670, 690, 710, 730, 751, 772, 794, 816, 838, 862, 886, 910, 936, 962, 990, 1018, 1047, 1078, 1110, 1143, 1179, 1216, 1255, 1296, 1340, 1387, 1437, 1491, 1550, 1615, 1685, 1764, 1853, 1954, 2072, 2212, 2384, 2607, 2917, 3417, 4000 };
        public static readonly double[][] Sway = { new double[] { 5000, 4001, 11000, 8001, 0.9, 1.4 }, new double[] { 4300, 3001, 9000, 7001, 0.5, 0.8 }, new double[] { 6100, 4001, 13000, 9001, 0.4, 0.7 } };
    }
}

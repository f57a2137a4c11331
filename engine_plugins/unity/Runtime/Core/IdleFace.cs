using System;

namespace Npc.Core
{
    /// <summary>
    /// Blinks and saccades on the face while no item sounds; an item's own track brings them while it does. Turn head and chest by
    /// <see cref="Now"/>.
    /// </summary>
    public sealed class IdleFace
    {
        /// <summary>Idle life comes and goes within this time when an item ends or begins.</summary>
        public const double OwnFadeMs = 250;
        /// <summary>Weight 1 of an eyeLook channel is this rotation of the eye.</summary>
        public const double EyeRangeDegrees = 28;
        readonly IdleMotion motion;
        double own = 1;
        double lastMs;

        public IdleFace(uint seed) { motion = new IdleMotion(seed); }

        /// <summary>Chest and head of the last step.</summary>
        public IdlePose Now { get; private set; }

        /// <summary>Add the idle life of session time <paramref name="nowMs"/> to <paramref name="pose"/>.</summary>
        public void Step(double nowMs, bool sounding, string[] channels, float[] pose)
        {
            double way = Math.Max(0, nowMs - lastMs) / OwnFadeMs;
            own = Math.Min(1, Math.Max(0, own + (sounding ? -way : way)));
            lastMs = nowMs;
            Now = motion.At((int)nowMs);
            double yaw = own * Now.EyeYaw / EyeRangeDegrees;
            double pitch = own * Now.EyePitch / EyeRangeDegrees;
            for (int c = 0; c < channels.Length; c++)
            {
                switch (channels[c])
                {
                    case "eyeBlinkLeft": case "eyeBlinkRight": pose[c] = Math.Max(pose[c], (float)(own * Now.Blink)); break;
                    case "eyeLookOutLeft": case "eyeLookInRight": Add(pose, c, yaw); break;
                    case "eyeLookInLeft": case "eyeLookOutRight": Add(pose, c, -yaw); break;
                    case "eyeLookUpLeft": case "eyeLookUpRight": Add(pose, c, pitch); break;
                    case "eyeLookDownLeft": case "eyeLookDownRight": Add(pose, c, -pitch); break;
                }
            }
        }

        static void Add(float[] pose, int channel, double amount)
        {
            if (amount > 0) pose[channel] = Math.Min(1f, pose[channel] + (float)amount);
        }
    }
}

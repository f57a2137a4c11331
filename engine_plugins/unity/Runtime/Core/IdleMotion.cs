using System;
using System.Collections.Generic;

namespace Npc.Core
{
    /// <summary>What to add to the face at one moment: lids and chest in [0, 1], angles in degrees.</summary>
    public struct IdlePose
    {
        public double Blink, EyeYaw, EyePitch, Chest, HeadYaw, HeadPitch, HeadRoll;
    }

    /// <summary>
    /// Life without speech from the session's seed, the same in every client. The specification is the docstring of
    /// npc/animation/idle.py; times are milliseconds since the session began.
    /// </summary>
    public sealed class IdleMotion
    {
        const int CloseMs = 65, HoldMs = 35, OpenMs = 140, SaccadeMs = 50;
        struct Saccade { public int At, Yaw, Pitch; }
        struct Sine { public int Period, Offset; public double Amplitude; }

        readonly SeededRandom blinkRandom, saccadeRandom;
        readonly List<int> blinks = new List<int>();
        readonly List<Saccade> saccades = new List<Saccade>();
        readonly List<Sine> sines = new List<Sine>();
        readonly int breathPeriod, breathOffset;

        public IdleMotion(uint seed)
        {
            blinkRandom = new SeededRandom(seed, 1);
            saccadeRandom = new SeededRandom(seed, 2);
            SeededRandom breath = new SeededRandom(seed, 3);
            breathPeriod = 3600 + breath.Below(801);
            breathOffset = breath.Below(breathPeriod);
            SeededRandom sway = new SeededRandom(seed, 4);
            foreach (double[] row in Generated.Sway)
                for (int i = 0; i < 2; i++)
                {
                    int period = (int)row[2 * i] + sway.Below((int)row[2 * i + 1]);
                    sines.Add(new Sine { Period = period, Offset = sway.Below(period), Amplitude = row[4 + i] });
                }
        }

        public IdlePose At(int ms)
        {
            Extend(ms);
            IdlePose pose = new IdlePose();
            int last = blinks.FindLastIndex(start => start <= ms);
            for (int i = Math.Max(0, last - 1); i <= last; i++)
                pose.Blink = Math.Max(pose.Blink, Smooth((ms - blinks[i]) / (double)CloseMs) - Smooth((ms - blinks[i] - CloseMs - HoldMs) / (double)OpenMs));
            int aim = saccades.FindLastIndex(one => one.At <= ms);
            Saccade to = aim >= 0 ? saccades[aim] : new Saccade();
            Saccade from = aim >= 1 ? saccades[aim - 1] : new Saccade();
            double way = Smooth((ms - to.At) / (double)SaccadeMs);
            pose.EyeYaw = (from.Yaw + way * (to.Yaw - from.Yaw)) / 1000.0;
            pose.EyePitch = (from.Pitch + way * (to.Pitch - from.Pitch)) / 1000.0;
            pose.Chest = 0.5 - 0.5 * Math.Cos(2 * Math.PI * ((ms + breathOffset) % breathPeriod) / breathPeriod);
            pose.HeadYaw = Wave(0, ms) + Wave(1, ms);
            pose.HeadPitch = Wave(2, ms) + Wave(3, ms);
            pose.HeadRoll = Wave(4, ms) + Wave(5, ms);
            return pose;
        }

        void Extend(int ms)
        {
            while (blinks.Count == 0 || blinks[blinks.Count - 1] <= ms)
                blinks.Add((blinks.Count == 0 ? 0 : blinks[blinks.Count - 1]) + Generated.BlinkGapMs[blinkRandom.Below(Generated.BlinkGapMs.Length)]);
            while (saccades.Count == 0 || saccades[saccades.Count - 1].At <= ms)
            {
                int at = (saccades.Count == 0 ? 0 : saccades[saccades.Count - 1].At) + Generated.SaccadeGapMs[saccadeRandom.Below(Generated.SaccadeGapMs.Length)];
                int yaw = saccadeRandom.Below(4001) - 2000;
                int pitch = saccadeRandom.Below(2401) - 1200;
                int reach = saccadeRandom.Below(8) == 0 ? 3 : 1;
                saccades.Add(new Saccade { At = at, Yaw = yaw * reach, Pitch = pitch * reach });
            }
        }

        double Wave(int index, int ms)
        {
            Sine sine = sines[index];
            return sine.Amplitude * Math.Sin(2 * Math.PI * ((ms + sine.Offset) % sine.Period) / sine.Period);
        }

        static double Smooth(double x)
        {
            double t = Math.Min(1.0, Math.Max(0.0, x));
            return t * t * (3.0 - 2.0 * t);
        }
    }
}

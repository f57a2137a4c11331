/** Made by engine_plugins/conformance/constants.py from npc/protocol and npc/animation: change those, not this. */
export const EXPRESSIONS = Object.freeze({
  neutral: {},
  joy: {"eyeSquintLeft": 0.28, "eyeSquintRight": 0.28, "mouthSmileLeft": 0.72, "mouthSmileRight": 0.72, "mouthDimpleLeft": 0.18, "mouthDimpleRight": 0.18, "browOuterUpLeft": 0.12, "browOuterUpRight": 0.12, "cheekSquintLeft": 0.55, "cheekSquintRight": 0.55},
  trust: {"eyeSquintLeft": 0.08, "eyeSquintRight": 0.08, "mouthSmileLeft": 0.34, "mouthSmileRight": 0.34, "browInnerUp": 0.16, "browOuterUpLeft": 0.1, "browOuterUpRight": 0.1, "cheekSquintLeft": 0.16, "cheekSquintRight": 0.16},
  fear: {"eyeWideLeft": 0.62, "eyeWideRight": 0.62, "mouthFrownLeft": 0.12, "mouthFrownRight": 0.12, "mouthStretchLeft": 0.42, "mouthStretchRight": 0.42, "browDownLeft": 0.18, "browDownRight": 0.18, "browInnerUp": 0.75, "browOuterUpLeft": 0.25, "browOuterUpRight": 0.25},
  surprise: {"eyeWideLeft": 0.6, "eyeWideRight": 0.6, "mouthFunnel": 0.08, "browInnerUp": 0.7, "browOuterUpLeft": 0.75, "browOuterUpRight": 0.75},
  sadness: {"eyeBlinkLeft": 0.1, "eyeSquintLeft": 0.16, "eyeBlinkRight": 0.1, "eyeSquintRight": 0.16, "mouthFrownLeft": 0.55, "mouthFrownRight": 0.55, "mouthShrugLower": 0.22, "browDownLeft": 0.14, "browDownRight": 0.14, "browInnerUp": 0.78},
  disgust: {"eyeSquintLeft": 0.32, "eyeSquintRight": 0.32, "mouthFrownLeft": 0.3, "mouthFrownRight": 0.3, "mouthUpperUpLeft": 0.28, "mouthUpperUpRight": 0.28, "browDownLeft": 0.42, "browDownRight": 0.42, "cheekSquintLeft": 0.2, "cheekSquintRight": 0.2, "noseSneerLeft": 0.68, "noseSneerRight": 0.68},
  anger: {"eyeSquintLeft": 0.3, "eyeWideLeft": 0.14, "eyeSquintRight": 0.3, "eyeWideRight": 0.14, "jawForward": 0.1, "mouthFrownLeft": 0.22, "mouthFrownRight": 0.22, "mouthPressLeft": 0.3, "mouthPressRight": 0.3, "browDownLeft": 0.82, "browDownRight": 0.82, "noseSneerLeft": 0.26, "noseSneerRight": 0.26},
  anticipation: {"eyeWideLeft": 0.22, "eyeWideRight": 0.22, "mouthSmileLeft": 0.16, "mouthSmileRight": 0.16, "browInnerUp": 0.22, "browOuterUpLeft": 0.36, "browOuterUpRight": 0.36},
  curiosity: {"eyeWideLeft": 0.14, "eyeWideRight": 0.14, "mouthSmileLeft": 0.2, "mouthSmileRight": 0.1, "browInnerUp": 0.3, "browOuterUpLeft": 0.6, "browOuterUpRight": 0.22},
  concern: {"eyeSquintLeft": 0.12, "eyeSquintRight": 0.12, "mouthFrownLeft": 0.16, "mouthFrownRight": 0.16, "mouthPressLeft": 0.1, "mouthPressRight": 0.1, "browDownLeft": 0.24, "browDownRight": 0.24, "browInnerUp": 0.62},
  amusement: {"eyeSquintLeft": 0.3, "eyeSquintRight": 0.3, "mouthSmileLeft": 0.62, "mouthSmileRight": 0.5, "mouthDimpleLeft": 0.3, "mouthDimpleRight": 0.3, "browOuterUpLeft": 0.2, "cheekSquintLeft": 0.42, "cheekSquintRight": 0.42},
  pride: {"eyeSquintLeft": 0.12, "eyeSquintRight": 0.12, "mouthSmileLeft": 0.38, "mouthSmileRight": 0.38, "mouthShrugLower": 0.2, "mouthPressLeft": 0.12, "mouthPressRight": 0.12, "browOuterUpLeft": 0.22, "browOuterUpRight": 0.22},
  relief: {"eyeBlinkLeft": 0.08, "eyeSquintLeft": 0.1, "eyeBlinkRight": 0.08, "eyeSquintRight": 0.1, "mouthSmileLeft": 0.4, "mouthSmileRight": 0.4, "browInnerUp": 0.3, "cheekSquintLeft": 0.18, "cheekSquintRight": 0.18},
  shame: {"eyeBlinkLeft": 0.16, "eyeLookDownLeft": 0.32, "eyeBlinkRight": 0.16, "eyeLookDownRight": 0.32, "mouthFrownLeft": 0.3, "mouthFrownRight": 0.3, "mouthRollLower": 0.18, "mouthPressLeft": 0.32, "mouthPressRight": 0.32, "browInnerUp": 0.5},
});

/**
 * One face from many tracks: the reply's blendshapes on the played-sample clock, idle life when nothing sounds, and head and gaze
 * cues. Each channel is written once per frame. Pure but for what it is told: no timers, no DOM.
 */
import { BlendshapeTrack, CueQueue } from '../client/cues.js';
import { EXPRESSIONS } from '../client/expressions.js';
import { IdleMotion } from '../client/idle.js';

const DEGREE = Math.PI / 180;
/** Degrees of eye rotation at weight 1 of an eyeLook channel, both axes. */
const EYE_DEGREES = 28;
/** Head gestures: peak {pitch, yaw, roll} in degrees and how often they swing; a held one stays until the next, or the item's end. */
const HEAD_MOVES = {
  nod: { pitch: -7, swings: 1 }, nod_twice: { pitch: -7, swings: 2 }, beat: { pitch: -3.5, swings: 1 }, shake: { yaw: 8, swings: 2 },
};
const TILTS = { tilt_left: -8, tilt_right: 8 };
/** Where `avert_{up|side|down}_{left|right}` sends the eyes, degrees to the character's left and up. */
function aversion({ name, weight = 1 }) {
  const [, height, side] = name.split('_');
  const reach = EYE_DEGREES * weight;
  return [(side === 'left' ? 0.8 : -0.8) * reach, { up: 0.5, side: 0, down: -0.5 }[height] * reach];
}
/** Shares of a gaze shift that the head takes, and the time constants of eyes and head in seconds. */
const HEAD_SHARE = 0.35;
const EYE_TAU = 0.03;
const HEAD_TAU = 0.16;
/** Seconds in which the idle eyes hand over to an item's track and back. */
const OWN_FADE = 0.15;
/** Seconds in which a mouth whose sound stands still (a pause, a lost socket) goes to rest, and in which it comes back. */
const HUSH_FADE = 0.12;
const VOICE_FADE = 0.06;
/** Between items the feeling shows at this share of what speech shows, and comes and goes with this time constant in seconds. */
const MOOD_SHARE = 0.6;
const MOOD_TAU = 0.25;
/** A cue found later than this many seconds (the page was hidden) is history: its nod is not made. */
const STALE_CUE = 0.5;

export class Performer {
  constructor(channels, rate) {
    this.channels = channels;
    this.index = new Map(channels.map((name, i) => [name, i]));
    this.rate = rate;
    this.items = new Map();
    this.moves = [];
    this.gaze = [0, 0];
    this.away = [0, 0];
    this.eyes = [0, 0];
    this.headGaze = [0, 0];
    this.headAway = [0, 0];
    this.tilt = 0;
    this.tilted = 0;
    this.own = 1;
    this.voice = 1;
    this.weights = new Float32Array(channels.length);
    this.idle = new IdleMotion(0);
    this.last = 0;
    this.calm = false;
    /** Degrees [left, up] to a gaze target from where the player is; null for one that is not in view. */
    this.aim = () => [0, 0];
    this.waiting = [];
    this.glancing = null;
    this.felt = new Float32Array(channels.length);
    this.mood = new Float32Array(channels.length);
  }

  seed(seed) {
    this.idle = new IdleMotion(seed);
  }

  /** Another character stands there: nothing of the one before is left. */
  forget() {
    this.items.clear();
    this.moves = [];
    this.waiting = [];
    this.glancing = null;
    [this.gaze, this.away, this.tilt] = [[0, 0], [0, 0], 0];
    this.felt.fill(0);
  }

  item(ordinal) {
    if (!this.items.has(ordinal)) {
      this.items.set(ordinal, { track: new BlendshapeTrack(this.channels.length), cues: new CueQueue() });
      for (const old of this.items.keys()) if (old < ordinal - 3) this.items.delete(old);
    }
    return this.items.get(ordinal);
  }

  blendshapes(frame) {
    this.item(frame.ordinal).track.add(frame);
  }

  /** Cues of the output clock wait for their sample; `at` of input-clock cues has come by the time they arrive. */
  cues(ordinal, cues) {
    const queue = this.item(ordinal).cues;
    if (Array.isArray(cues)) cues.forEach((cue) => queue.add(cue));
  }

  /** Keep a cue of the input clock until time `at` in seconds. */
  startAt(cue, at, length) {
    this.waiting.push({ cue, at, length });
  }

  /** Look at a thing from `now` for `seconds`, whatever the gaze cues say meanwhile. */
  glance(target, now, seconds) {
    const angles = this.aim(target);
    if (angles) this.glancing = { angles, until: now + seconds };
  }

  /** Take the state of `npc.emotion`: what the face shows while nothing is said. */
  feel({ label, intensity = 0 }) {
    this.felt.fill(0);
    for (const [name, weight] of Object.entries(EXPRESSIONS[label] ?? {})) if (this.index.has(name)) this.felt[this.index.get(name)] = weight * intensity * MOOD_SHARE;
  }

  /** Apply a head or gaze cue at time `now` (seconds). `length` is its duration in seconds. */
  start(cue, now, length) {
    if (cue.kind === 'head') {
      const weight = cue.weight ?? 1;
      if (cue.name in TILTS) this.tilt = TILTS[cue.name] * weight;
      else this.moves.push({ ...(HEAD_MOVES[cue.name] ?? HEAD_MOVES.beat), from: now, length: Math.max(0.25, length || 0.5), weight });
    }
    if (cue.kind === 'gaze' && cue.name.startsWith('avert')) this.away = aversion(cue);
    else if (cue.kind === 'gaze') [this.gaze, this.away] = [this.aim(cue.target) ?? [0, 0], [0, 0]];
  }

  /** The reply was cut: nothing of it is applied any more, and the lips go to rest within 150 ms. */
  flush(ordinal) {
    const item = this.items.get(ordinal);
    if (item) item.flushed = { pose: this.weights.slice(), since: this.last };
  }

  /**
   * The pose at time `now` in seconds, with sample `played` of item `ordinal` sounding (ordinal null: nothing sounds). `running` is
   * false while the sound stands still in mid-item: the mouth then rests instead of freezing. Returns {weights, head, due}: `due`
   * are the cues that begin now.
   */
  step(now, ordinal, played, running = true) {
    // A slow frame must not throw the head about, but a mouth that has to rest rests in time.
    const gone = Math.max(0, now - this.last);
    const dt = Math.min(0.1, gone);
    this.last = now;
    for (const { cue, length } of this.waiting.filter(({ at }) => at <= now)) this.start(cue, now, length);
    this.waiting = this.waiting.filter(({ at }) => at > now);
    if (this.glancing?.until <= now) this.glancing = null;
    const item = this.items.get(ordinal) ?? null;
    const due = item && !item.flushed ? item.cues.due(played) : [];
    for (const cue of due) if (this.timely(cue, played)) this.start(cue, now, cue.until ? (cue.until - cue.at) / this.rate : 0);
    this.voice = Math.min(1, Math.max(0, this.voice + (running ? gone / VOICE_FADE : -gone / HUSH_FADE)));
    this.speech(item, played, now);
    // While an item sounds (and does not stand still) its track holds blinks, saccades and aversions; between items they are ours, faded in and out.
    const sounding = running && item !== null && !item.flushed && item.track.covers(played);
    if (!sounding && this.own === 0) this.tilt = 0;
    this.own = Math.min(1, Math.max(0, this.own + (sounding ? -dt : dt) / OWN_FADE));
    this.showMood(dt);
    const life = this.idle.at(now * 1000);
    this.blink(life.blink * this.own);
    this.look(dt, life);
    return { weights: this.weights, head: this.head(now, life), due };
  }

  /** Gaze, tilts and feelings last, so the latest is applied however late; a nod or a gesture long past is not made up for. */
  timely(cue, played) {
    const lasting = cue.kind === 'gaze' || cue.name in TILTS;
    return lasting || played - (cue.until ?? cue.at) < STALE_CUE * this.rate;
  }

  speech(item, played, now) {
    if (!item) {
      this.weights.fill(0);
      return;
    }
    if (!item.flushed) {
      this.weights.set(item.track.sample(played, this.rate));
      if (this.voice < 1) for (let c = 0; c < this.weights.length; c += 1) this.weights[c] *= this.voice;
      return;
    }
    const keep = Math.max(0, 1 - (now - item.flushed.since) / 0.12);
    for (let c = 0; c < this.weights.length; c += 1) this.weights[c] = item.flushed.pose[c] * keep;
  }

  /** The feeling, under whatever is said: the track brings its own while an item sounds. */
  showMood(dt) {
    const way = 1 - Math.exp(-dt / MOOD_TAU);
    for (let c = 0; c < this.mood.length; c += 1) {
      this.mood[c] += (this.felt[c] - this.mood[c]) * way;
      this.weights[c] = Math.max(this.weights[c], this.mood[c] * this.own);
    }
  }

  blink(amount) {
    for (const name of ['eyeBlinkLeft', 'eyeBlinkRight']) {
      const c = this.index.get(name);
      this.weights[c] = Math.max(this.weights[c], amount);
    }
  }

  /** Eyes and head go to the gaze target at all times; looking away and saccades are ours only while no track brings them. */
  look(dt, life) {
    const target = this.glancing?.angles ?? this.gaze;
    const away = this.glancing ? [0, 0] : this.away;
    for (const axis of [0, 1]) {
      const aim = target[axis] + (away[axis] + life.eyes[axis]) * this.own;
      this.eyes[axis] += (aim - this.eyes[axis]) * (1 - Math.exp(-dt / EYE_TAU));
      for (const [turn, goal] of [[this.headGaze, target], [this.headAway, away]]) turn[axis] += (goal[axis] * HEAD_SHARE - turn[axis]) * (1 - Math.exp(-dt / HEAD_TAU));
    }
    const [left, up] = [0, 1].map((axis) => (this.eyes[axis] - this.headGaze[axis] - this.headAway[axis] * this.own) / EYE_DEGREES);
    this.tilted += (this.tilt - this.tilted) * (1 - Math.exp(-dt / HEAD_TAU));
    this.raise({ eyeLookOutLeft: left, eyeLookInRight: left, eyeLookInLeft: -left, eyeLookOutRight: -left, eyeLookUpLeft: up, eyeLookUpRight: up, eyeLookDownLeft: -up, eyeLookDownRight: -up });
  }

  raise(amounts) {
    for (const [name, amount] of Object.entries(amounts)) {
      const c = this.index.get(name);
      if (amount > 0) this.weights[c] = Math.min(1, Math.max(this.weights[c], amount));
    }
  }

  head(now, life) {
    const quiet = this.calm ? 0.25 : 1;
    const pose = { yaw: (this.headGaze[0] + this.headAway[0] + life.head[0]) * DEGREE, pitch: (this.headGaze[1] + this.headAway[1] + life.head[1]) * DEGREE, roll: (life.head[2] + this.tilted) * DEGREE, chest: life.chest };
    this.moves = this.moves.filter((move) => now < move.from + move.length);
    for (const move of this.moves) {
      const t = (now - move.from) / move.length;
      const shape = move.swings === 1 ? Math.sin(Math.PI * t) ** 2 : Math.sin(2 * Math.PI * move.swings * t) * Math.sin(Math.PI * t);
      for (const axis of ['pitch', 'yaw', 'roll']) pose[axis] += (move[axis] ?? 0) * DEGREE * shape * move.weight * quiet;
    }
    return pose;
  }
}

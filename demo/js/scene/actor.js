/**
 * Deeds on the stage: an action the mind announced is done when its cue comes, the server is told how it went, and one that is called
 * off is undone. Things can also be looked at and handed back by the player.
 *
 *   ANNOUNCED ──action cue, or the reply is over──▶ DONE ──cancelled with undo──▶ UNDONE
 *       └──────cancelled──▶ gone
 */
import { deedOf } from './deeds.js';

/** Seconds for which the character looks at what it handles, and at what the player points out. */
const LOOK_SECONDS = 2.2;

/** Arguments as the mind wrote them; what is no JSON says nothing, as in the engine clients. */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

export class Actor {
  /** `send(event)` goes to the server; `tell(callId, line)` writes the deed down; `changed()` follows every change of the things. */
  constructor({ send, tell, changed }) {
    Object.assign(this, { send, tell, changed });
    this.announced = new Map();
    this.done = new Map();
    this.things = [];
    this.table = null;
    this.hands = () => null;
    this.glance = () => {};
  }

  /** Take the stage (null where there is none) and the things of a scene. */
  enter(face, performer, things) {
    this.table = face.table ?? null;
    this.hands = () => face.hands ?? null;
    this.glance = (id) => performer.glance(id, performer.last, LOOK_SECONDS);
    this.things = things;
    this.changed();
  }

  /** `response.function_call_arguments.done`: the reply announces an action; `ordinal` is its reply's. */
  announce({ call_id: id, name, arguments: text }, ordinal) {
    const deed = deedOf(name, read(text), this.things);
    this.announced.set(id, { deed, ordinal });
    this.tell(id, deed.line);
    this.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: id, output: JSON.stringify({ ok: true, note: deed.line }) } });
  }

  /** Another conversation: what was announced in the one before is not done in this one, whose replies are numbered anew. */
  forget() {
    this.announced.clear();
    this.done.clear();
  }

  /** The action's moment in the speech has come. */
  due({ call_id: id }) {
    const found = this.announced.get(id);
    if (!found) return;
    this.announced.delete(id);
    const target = this.table?.perform(found.deed, this.hands()) ?? found.deed.target;
    this.done.set(id, { deed: found.deed, target });
    if (target) this.glance(target);
    if (found.deed.kind === 'give' || found.deed.kind === 'take') this.own(target, found.deed.kind === 'give' ? 'player' : '');
    this.changed();
  }

  /** A reply has sounded to its end: what had no cue is done now. */
  over(ordinal) {
    for (const [id, one] of [...this.announced]) if (one.ordinal === ordinal) this.due({ call_id: id });
  }

  /** `npc.action.cancelled`. */
  cancel({ call_id: id }) {
    this.announced.delete(id);
    const found = this.done.get(id);
    this.tell(id, found ? 'takes it back: that was called off' : 'does not do it after all');
    if (!found || found.deed.kind !== 'give') return;
    this.table?.undo(found.target, this.hands());
    this.own(found.target, '');
    this.changed();
  }

  /** The player points a thing out: the character looks, and "that one" means it. */
  attend(id) {
    this.glance(id);
    this.send({ type: 'npc.scene.update', scene: { attention: id } });
  }

  /** The player gives a thing back. */
  giveBack(id) {
    this.table?.undo(id, this.hands());
    this.own(id, '');
    this.send({ type: 'npc.event', text: `The player hands back the ${this.nameOf(id)}.`, salience: 0.4, react: false });
    this.changed();
  }

  nameOf(id) {
    return this.things.find((thing) => thing.id === id)?.name ?? id;
  }

  own(id, holder) {
    if (!this.things.some((thing) => thing.id === id)) return;
    this.send({ type: 'npc.scene.update', scene: { entities: [{ id, held_by: holder }] } });
  }
}

/**
 * What an action looks like on the stage, worked out from its name, its arguments and the things in the scene. Pure.
 *
 * Authors name actions by their verb (sell, hand_over, light_lamp, point_to, open_case …), so the verb decides the kind and the
 * arguments, or else the rest of the name, decide the thing. An action nobody can picture still gets a gesture and a line.
 */
/** The verb is a whole word: to handle is not to hand. */
const KINDS = [
  ['take', /^(take|collect|accept|receive|refund)(?![a-z])/],
  ['give', /^(give|sell|hand|offer|pass|lend|serve|pour|deliver|print|issue)(?![a-z])/],
  ['light', /^(light|switch|illuminate|kindle)(?![a-z])/],
  ['point', /^(point|show|lead|guide|indicate|present)(?![a-z])/],
  ['open', /^(open|unlock)(?![a-z])/],
  ['close', /^(close|shut|lock)(?![a-z])/],
  ['work', /^(wind|turn|start|play|ring|run|operate)(?![a-z])/],
  ['call', /^(call|phone|page|alert|summon|fetch)(?![a-z])/],
];
const LINES = {
  take: (thing) => `takes ${thing} back`, give: (thing) => `hands you ${thing}`, light: (thing) => `lights ${thing}`,
  point: (thing) => `points to ${thing}`, open: (thing) => `opens ${thing}`, close: (thing) => `closes ${thing}`,
  work: (thing) => `sets ${thing} going`, call: (thing) => `calls for ${thing}`,
};

const bare = (text) => String(text).toLowerCase().replaceAll(/[_-]/g, ' ').trim();
const stem = (word) => word.replace(/(es|s)$/, '');
const words = (text) => bare(text).split(/\s+/).filter((word) => word.length > 2).map(stem);

/** The thing a text names: by id, by whole name or alias, then by a word they share. */
function named(text, things) {
  const wanted = bare(text);
  const exact = things.find(({ id, name, aliases = [] }) => [id, name, ...aliases].some((one) => one && bare(one) === wanted));
  if (exact) return exact;
  const parts = new Set(words(text));
  return things.find(({ id, name }) => words(`${id} ${name ?? ''}`).some((word) => parts.has(word))) ?? null;
}

/** {kind, target, label, line}: `target` is a thing's id or null, `label` what it is called, `line` what to tell a person. */
export function deedOf(action, args, things) {
  const kind = KINDS.find(([, verb]) => verb.test(action))?.[0] ?? 'gesture';
  const rest = action.split('_').slice(1).filter((word) => !/^(to|over|back|a|the)$/.test(word)).join(' ');
  const texts = [...Object.values(args ?? {}).filter((value) => typeof value === 'string'), rest];
  const thing = texts.map((text) => named(text, things)).find(Boolean) ?? null;
  const label = thing?.name ?? (rest || (kind === 'give' || kind === 'take' ? 'it' : ''));
  const article = /^(the|a|an|it)\b/.test(label) || !label ? label : `the ${label}`;
  const line = LINES[kind] && label ? LINES[kind](article) : bare(action);
  return { kind, target: thing?.id ?? null, label, line };
}

/**
 * Finished attempts. `?attempt=ID`: tell the learning system that launched this tab what came of it, then show the report.
 * Without it: the list, and for an instructor the progress of everybody.
 */
import { launch } from './server.js';

const $ = (id) => document.getElementById(id);
const ticket = sessionStorage.getItem('npc.instructor') ?? launch()?.ticket ?? null;
/** How long the launching page has to say that it recorded the outcome. */
const RECORD_MS = 4000;
/** Judging and writing the last turn takes a moment after the end. */
const TRIES = 20;

async function api(path) {
  const headers = ticket ? { Authorization: `Bearer ${ticket}` } : {};
  return fetch(new URL(path, document.baseURI), { headers });
}

const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The outcome, once the attempt is over and judged. */
async function outcome(id) {
  const origin = launch()?.report_to;
  const path = `v1/attempts/${encodeURIComponent(id)}/result${origin ? `?origin=${encodeURIComponent(origin)}` : ''}`;
  let last = null;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const answer = await api(path);
    if (!answer.ok) throw new Error((await answer.json()).error?.message ?? `The server answered ${answer.status}.`);
    last = await answer.json();
    if (last.status === 'completed' && last.success !== 'unknown') break;
    await wait(500);
  }
  return last;
}

/** Post the outcome to the window that launched this tab, and wait until it says that it has it. */
async function tell(result) {
  const origin = launch()?.report_to;
  if (!origin || !window.opener) return;
  const { report, ...message } = result;
  const recorded = new Promise((done) => {
    addEventListener('message', ({ origin: from, data }) => from === origin && data?.type === 'npc.recorded' && data.attempt === message.attempt && done(true));
  });
  window.opener.postMessage(message, origin);
  const heard = await Promise.race([recorded, wait(RECORD_MS)]);
  if (!heard) $('state').textContent = 'The learning system did not confirm the result. Keep its window open and load this page again.';
}

async function show(id) {
  $('title').textContent = 'Preparing the review';
  try {
    const result = await outcome(id);
    await tell(result);
    const report = new URL(result.report, document.baseURI);
    const back = launch()?.back;
    if (!/^https?:/.test(back ?? '')) return location.replace(report);
    // cmi5 and LTI say where the learner goes on.
    $('title').textContent = 'Your result is recorded';
    $('state').replaceChildren(
      make('a', { href: report.href, target: '_blank', textContent: 'Read the review' }), ' or ',
      make('a', { href: back, textContent: 'go back to the learning system' }), '.');
    return undefined;
  } catch (error) {
    $('title').textContent = 'Review';
    $('state').textContent = error.message;
  }
}

async function list() {
  const answer = await api('v1/attempts').catch(() => null);
  if (!answer?.ok) {
    $('state').textContent = 'This server shows attempts only to those who took part and to instructors. Open the instructor’s chair first to enter a key.';
    return;
  }
  const { data } = await answer.json();
  const titles = new Map(data.map((one) => [one.scenario, one.title]));
  if (!data.length) {
    $('state').textContent = 'No attempt yet. Begin a scenario on the stage.';
    return;
  }
  $('scenario').replaceChildren(...[...titles].map(([id, title]) => new Option(title, id)));
  $('filter').hidden = titles.size < 2;
  $('scenario').addEventListener('change', () => draw(data));
  draw(data);
}

function draw(data) {
  const chosen = data.filter((one) => one.scenario === $('scenario').value);
  $('title').textContent = chosen[0]?.title ?? 'Attempts';
  $('list').hidden = $('list-title').hidden = false;
  $('list').tBodies[0].replaceChildren(...chosen.map(row));
  const over = chosen.filter((one) => one.score !== null).reverse();
  $('cohort').hidden = over.length < 2;
  const trainees = new Map();
  for (const one of over) trainees.set(one.trainee, [...(trainees.get(one.trainee) ?? []), one]);
  $('progress').replaceChildren(...[...trainees].map(([name, attempts]) => line(name, attempts)));
  $('items').replaceChildren(...shares([...trainees.values()].map((attempts) => attempts.at(-1))));
}

function row(one) {
  const judged = one.passed === null ? '' : one.passed ? 'passed' : 'failed';
  const open = make('a', { href: `review.html?attempt=${encodeURIComponent(one.id)}`, textContent: 'Review' });
  return make('tr', {},
    make('td', { textContent: new Date(one.began * 1000).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' }) }),
    make('td', { textContent: one.trainee }),
    make('td', { textContent: one.level }),
    make('td', { textContent: one.outcome.replaceAll('_', ' ') }),
    make('td', { className: `figure ${judged}`, textContent: one.score === null ? '–' : `${Math.round(one.score)}${judged ? `, ${judged}` : ''}` }),
    make('td', {}, open));
}

/** One trainee's scores, attempt after attempt, about the dotted pass mark; 0 at the bottom, 100 at the top. */
function line(name, attempts) {
  const x = (n) => (attempts.length > 1 ? 3 + (94 * n) / (attempts.length - 1) : 97);
  const y = (score) => 100 - score;
  const points = attempts.map((one, n) => `${x(n)},${y(one.score)}`).join(' ');
  const scores = attempts.map((one) => Math.round(one.score));
  const graph = make('div', { className: 'graph', role: 'img' });
  graph.setAttribute('aria-label', `Scores ${scores.join(', ')}`);
  graph.innerHTML = `<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true"><polyline points="${points}"/></svg>`;
  const goal = make('i', { className: 'goal' });
  goal.style.top = `${y(attempts.at(-1).pass_mark)}%`;
  graph.append(goal, ...attempts.map((one, n) => {
    const dot = make('i', { className: `dot ${one.passed ? 'passed' : ''}`, title: `${Math.round(one.score)}, level ${one.level}` });
    dot.style.left = `${x(n)}%`;
    dot.style.top = `${y(one.score)}%`;
    return dot;
  }));
  const gained = scores.at(-1) - scores[0];
  const told = attempts.length > 1 ? `${scores.at(-1)} (${gained >= 0 ? '+' : ''}${gained})` : `${scores[0]}`;
  return make('div', { className: 'row' }, make('span', { textContent: name }), graph, make('output', { textContent: told }));
}

/** Of everybody's latest attempt: how many met each item, the weakest first. */
function shares(latest) {
  const items = new Map();
  for (const { items: judged } of latest) {
    for (const { id, description, state } of judged) {
      const known = items.get(id) ?? { description, met: 0, seen: 0 };
      items.set(id, { description, met: known.met + (state === 'met'), seen: known.seen + (state !== 'not_observed') });
    }
  }
  const sorted = [...items.values()].filter(({ seen }) => seen).sort((a, b) => a.met / a.seen - b.met / b.seen);
  return sorted.map(({ description, met, seen }) => {
    const fill = make('i');
    fill.style.width = `${(100 * met) / seen}%`;
    return make('div', { className: 'row' }, make('span', { textContent: description }), make('div', { className: 'bar' }, fill),
      make('output', { textContent: `${met} of ${seen}` }));
  });
}

const id = new URLSearchParams(location.search).get('attempt');
await (id ? show(id) : list());

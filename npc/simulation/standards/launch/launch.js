/* The unit of a SCORM package: opens the service in a window of its own and hands its outcome to the LMS.
 *
 * Both run-times are driven through one small table of names; everything else is the same. Nothing is taken from any
 * other window than the one opened here, nor from any other origin than the service's.
 */
'use strict';

const course = globalThis.npcCourse;
const element = (id) => document.getElementById(id);
const began = Date.now();

/** Names of the run-time's functions and elements, by standard. */
const DIALECTS = {
  scorm12: {
    object: 'API', prefix: 'LMS', finish: 'LMSFinish', learnerId: 'cmi.core.student_id', learnerName: 'cmi.core.student_name',
    time: 'cmi.core.session_time', duration: clockTime, exit: 'cmi.core.exit',
  },
  scorm2004: {
    object: 'API_1484_11', prefix: '', finish: 'Terminate', learnerId: 'cmi.learner_id', learnerName: 'cmi.learner_name',
    time: 'cmi.session_time', duration: isoDuration, exit: 'cmi.exit',
  },
};
const dialect = DIALECTS[course.standard];

/** SCORM 1.2 CMITimespan: HHHH:MM:SS.SS. */
function clockTime(seconds) {
  const whole = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, '0');
  return `${String(Math.floor(whole / 3600)).padStart(4, '0')}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}.${two(Math.floor((seconds - whole) * 100))}`;
}

/** SCORM 2004 timeinterval(second,10,2). */
function isoDuration(seconds) {
  return `PT${Math.floor(seconds / 3600)}H${Math.floor(seconds / 60) % 60}M${(seconds % 60).toFixed(2)}S`;
}

/** The run-time's object: up the parents, then up the opener's (SCORM Run-Time Environment, "API discovery"). */
function discover() {
  for (const start of [window, window.opener]) {
    let place = start;
    for (let depth = 0; place && depth < 50; depth += 1) {
      try { if (place[dialect.object]) return place[dialect.object]; } catch { break; }
      if (place.parent === place) break;
      place = place.parent;
    }
  }
  return null;
}

class Lms {
  constructor(api) {
    this.api = api;
    this.open = api !== null && this.call('Initialize', '') === 'true';
  }

  call(name, ...args) {
    const method = name === 'Terminate' ? dialect.finish : dialect.prefix + name;
    return String(this.api[method](...args));
  }

  get(name) { return this.open ? this.call('GetValue', name) : ''; }

  set(name, value) {
    if (!this.open) return;
    if (this.call('SetValue', name, String(value)) !== 'true') {
      console.warn(`the LMS refused ${name}: error ${this.call('GetLastError')}`);
    }
  }

  save() { if (this.open) this.call('Commit', ''); }

  end() {
    if (!this.open) return;
    this.set(dialect.time, dialect.duration((Date.now() - began) / 1000));
    this.save();
    this.call('Terminate', '');
    this.open = false;
  }
}

const identifier = (text) => text.replace(/[^A-Za-z0-9_.-]+/g, '-').slice(0, 255);
const status = (item) => (item.met === true ? 'met' : item.met === false ? 'missed' : 'unobserved');

/** Score, completion and success. */
function report(lms, result) {
  const completed = result.status === 'completed';
  if (course.standard === 'scorm12') {
    lms.set('cmi.core.score.min', 0);
    lms.set('cmi.core.score.max', 100);
    if (result.score) lms.set('cmi.core.score.raw', result.score.raw);
    const judged = result.success === 'unknown' ? 'completed' : result.success;
    lms.set('cmi.core.lesson_status', completed ? judged : 'incomplete');
  } else {
    lms.set('cmi.completion_status', completed ? 'completed' : 'incomplete');
    lms.set('cmi.success_status', completed ? result.success : 'unknown');
    if (result.score) {
      for (const part of ['scaled', 'raw', 'min', 'max']) lms.set(`cmi.score.${part}`, result.score[part]);
    }
  }
  lms.set(dialect.exit, completed ? (course.standard === 'scorm12' ? '' : 'normal') : 'suspend');
  result.items.forEach((item, n) => interaction(lms, item, n, result));
}

/** A rubric item as an interaction, with the words that decided it. */
function interaction(lms, item, n, result) {
  const at = `cmi.interactions.${n}.`;
  const outcome = { met: 'correct', missed: course.standard === 'scorm12' ? 'wrong' : 'incorrect', unobserved: 'neutral' };
  const words = item.quote || item.reason || '';
  const when = new Date(Date.parse(result.began) + (item.at_s ?? 0) * 1000);
  lms.set(`${at}id`, course.standard === 'scorm12' ? identifier(item.id) : `urn:npc:item:${identifier(item.id)}`);
  lms.set(`${at}type`, course.standard === 'scorm12' ? 'performance' : 'other');
  if (course.standard === 'scorm12') {
    lms.set(`${at}time`, when.toISOString().slice(11, 19));
    if (words) lms.set(`${at}student_response`, words.slice(0, 255));
  } else {
    // time(second,10,0): a time zone only behind a fraction of one or two digits.
    lms.set(`${at}timestamp`, `${when.toISOString().slice(0, 22)}Z`);
    lms.set(`${at}description`, item.description.slice(0, 250));
    if (words) lms.set(`${at}learner_response`, words.slice(0, 4000));
  }
  lms.set(`${at}weighting`, item.weight);
  lms.set(`${at}result`, outcome[status(item)]);
}

function show(result) {
  element('result').hidden = false;
  element('score').textContent = result.score ? `${Math.round(result.score.raw)} of 100` : 'No score';
  element('verdict').textContent = { passed: 'passed', failed: 'not passed', unknown: '' }[result.success];
  element('items').replaceChildren(...result.items.map((item) => {
    const line = document.createElement('li');
    line.className = status(item);
    line.append(item.description);
    if (item.quote) {
      const quote = document.createElement('q');
      quote.textContent = item.quote;
      line.append(quote);
    }
    return line;
  }));
}

function begin() {
  element('title').textContent = course.title;
  element('description').textContent = course.description;
  element('minutes').textContent = `About ${course.minutes} minutes`;
  element('mastery').textContent = `Passed from ${Math.round(course.mastery * 100)} of 100`;
  document.documentElement.lang = course.language;
  document.title = course.title;

  const lms = new Lms(discover());
  const say = (text) => { element('state').textContent = text; };
  if (!lms.open) say('No learning system was found: you may practise, but nothing will be recorded.');
  const known = lms.get(course.standard === 'scorm12' ? 'cmi.core.lesson_status' : 'cmi.completion_status');
  if (['not attempted', 'unknown', ''].includes(known)) {
    lms.set(course.standard === 'scorm12' ? 'cmi.core.lesson_status' : 'cmi.completion_status', 'incomplete');
  }
  lms.save();

  const form = element('start');
  form.action = `${course.service}/v1/launch/scorm`;
  form.elements.scenario.value = course.scenario;
  form.elements.secret.value = course.secret;
  form.elements.learner.value = lms.get(dialect.learnerId);
  form.elements.name.value = lms.get(dialect.learnerName);
  form.elements.report_to.value = location.origin;

  let opened = null;
  form.addEventListener('submit', () => {
    opened = window.open('', 'npc-rehearsal');
    say(opened ? 'The rehearsal is open in its own window. Your result appears here when it is over.' : 'The browser kept the window from opening: allow pop-ups for this page.');
  });
  addEventListener('message', ({ origin, source, data }) => {
    if (origin !== course.origin || source !== opened || data?.type !== 'npc.result' || data.version !== 1) return;
    if (data.scenario !== course.scenario) return;
    report(lms, data);
    lms.save();
    show(data);
    say(lms.open ? 'Recorded.' : '');
    opened.postMessage({ type: 'npc.recorded', attempt: data.attempt }, course.origin);
  });
  addEventListener('pagehide', () => lms.end());
}

begin();

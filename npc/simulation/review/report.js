'use strict';
/* Hear the evidence: every button and bar with data-at plays from there to data-until; the page follows the sound. */
(() => {
  const sound = document.getElementById('sound');
  if (!sound) return;
  const [play, seek, now] = ['play', 'seek', 'now'].map((id) => document.getElementById(id));
  const head = document.querySelector('.playhead');
  const [left, right, length] = head.dataset.scale.split(' ').map(Number);
  const turns = [...document.querySelectorAll('.transcript [data-from]')];
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;
  let until = Infinity;

  /* A breath before and after, so that a quote does not begin in the middle of a sound. */
  function hear(from, to) {
    sound.currentTime = Math.max(0, from - 0.25);
    until = to + 0.35;
    sound.play();
  }
  document.addEventListener('click', (event) => {
    const target = event.target.closest('[data-at]');
    if (!target) return;
    hear(Number(target.dataset.at), Number(target.dataset.until));
  });
  play.addEventListener('click', () => {
    until = Infinity;
    if (sound.paused) sound.play(); else sound.pause();
  });
  seek.addEventListener('input', () => { until = Infinity; sound.currentTime = Number(seek.value); });
  for (const kind of ['play', 'pause', 'ended']) {
    sound.addEventListener(kind, () => {
      play.textContent = sound.paused ? '▶' : '❚❚';
      play.setAttribute('aria-label', sound.paused ? 'Play' : 'Pause');
      document.body.classList.add('playing');
      requestAnimationFrame(follow);
    });
  }
  function follow() {
    const at = sound.currentTime;
    if (at >= until) { until = Infinity; sound.pause(); }
    seek.value = at;
    now.textContent = `${clock(at)} / ${clock(length)}`;
    const x = left + (right - left) * Math.min(1, at / length);
    head.setAttribute('x1', x);
    head.setAttribute('x2', x);
    for (const turn of turns) turn.classList.toggle('heard', at >= Number(turn.dataset.from) && at < Number(turn.dataset.to));
    if (!sound.paused) requestAnimationFrame(follow);
  }
  sound.addEventListener('seeked', follow);
  now.textContent = `0:00 / ${clock(length)}`;
})();

/**
 * Talking to the page: the microphone (hands-free or push-to-talk), the keyboard, and the devices behind them. Sound may start only
 * after a click or a key, so every way of talking leads through `ready`.
 */
import { MicrophoneError } from './audio/devices.js';
import { readSettings } from './ui/settings.js';

const push = () => readSettings().turns === 'push';

export class Talking {
  /** `session()` is the conversation now; `ready()` opens the speaker; `said(text)` writes a typed turn down; `notice(text)` tells a person. */
  constructor({ microphone, session, ready, said, notice }) {
    Object.assign(this, { microphone, session, ready, said, notice });
    this.on = false;
    /** What the last press or release asked for; `on` follows once the browser has given the microphone. */
    this.wished = false;
    this.button = document.getElementById('mic');
    this.label = document.getElementById('mic-label');
    this.box = document.getElementById('say');
    document.getElementById('say-form').addEventListener('submit', (event) => this.type(event));
    this.button.addEventListener('click', () => push() || this.talk(!this.wished));
    this.button.addEventListener('pointerdown', () => push() && this.talk(true));
    // On the window: the pointer may have left the button when it is let go.
    for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => this.letGo());
    addEventListener('keydown', (event) => this.key(event));
    addEventListener('keyup', (event) => event.code === 'Space' && this.letGo());
    addEventListener('blur', () => this.letGo());
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.devicesChanged());
    microphone.onLost = () => this.lost();
  }

  /** Space talks, unless the focus is on something that takes a space itself. */
  key(event) {
    const focus = document.activeElement;
    const taken = focus !== this.button && (/^(input|textarea|select|button|summary|a)$/i.test(focus?.tagName ?? '') || focus?.getAttribute('role') === 'tab');
    if (event.code !== 'Space' || event.repeat || taken) return;
    event.preventDefault();
    this.talk(push() || !this.wished);
  }

  letGo() {
    if (push() && this.wished) this.talk(false);
  }

  async talk(on) {
    this.wished = on;
    try {
      await this.ready();
      if (on && !this.microphone.stream) await this.microphone.open({ raw: new URLSearchParams(location.search).has('raw') });
    } catch (error) {
      this.wished = this.on;
      if (!(error instanceof MicrophoneError)) throw error;
      this.notice(error.message);
      return;
    }
    // Let go, or pressed again, while the browser was asking.
    if (this.wished !== on || this.on === on) return;
    this.on = on;
    this.show();
    if (!push()) return;
    if (on) this.session().send({ type: 'input_audio_buffer.clear' });
    else if (this.session().send({ type: 'input_audio_buffer.commit' })) this.session().send({ type: 'response.create' });
  }

  /** The button says what it does now. */
  show() {
    const words = push() ? ['Hold to talk', 'Listening…'] : ['Start talking', 'Stop talking'];
    this.button.setAttribute('aria-pressed', String(this.on));
    this.label.textContent = words[Number(this.on)];
  }

  async type(event) {
    event.preventDefault();
    const text = this.box.value.trim();
    if (!text) return;
    await this.ready();
    if (!this.session().say(text)) {
      this.notice('The server is not connected yet; your words are still in the box.');
      return;
    }
    this.said(text);
    this.box.value = '';
  }

  /** The microphone was pulled out or taken away: go on with another one, or say that there is none. */
  async lost() {
    const talking = this.on;
    await this.microphone.close();
    if (!talking) return;
    await this.talk(false);
    if (push()) return;
    await this.talk(true);
    if (this.on) this.notice('The microphone changed; the new one is in use.');
  }

  /** Another headset: the browser moves the sound by itself, but may leave it suspended. */
  async devicesChanged() {
    if (this.on || this.microphone.stream) await this.ready();
  }
}

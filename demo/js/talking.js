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
    this.button = document.getElementById('mic');
    this.label = document.getElementById('mic-label');
    this.box = document.getElementById('say');
    document.getElementById('say-form').addEventListener('submit', (event) => this.type(event));
    this.button.addEventListener('click', () => push() || this.talk(!this.on));
    this.button.addEventListener('pointerdown', () => push() && this.talk(true));
    for (const end of ['pointerup', 'pointercancel']) this.button.addEventListener(end, () => push() && this.on && this.talk(false));
    addEventListener('keydown', (event) => this.key(event));
    addEventListener('keyup', (event) => event.code === 'Space' && push() && this.on && this.talk(false));
    addEventListener('blur', () => push() && this.on && this.talk(false));
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.devicesChanged());
    microphone.onLost = () => this.lost();
  }

  /** Space talks, unless the focus is on something that takes a space itself. */
  key(event) {
    const focus = document.activeElement;
    const taken = focus !== this.button && (/^(input|textarea|select|button|summary|a)$/i.test(focus?.tagName ?? '') || focus?.getAttribute('role') === 'tab');
    if (event.code !== 'Space' || event.repeat || taken) return;
    event.preventDefault();
    this.talk(push() || !this.on);
  }

  async talk(on) {
    try {
      await this.ready();
      if (on && !this.microphone.stream) await this.microphone.open({ raw: new URLSearchParams(location.search).has('raw') });
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.notice(error.message);
      return;
    }
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
    this.on = false;
    this.show();
    await this.talk(!push());
    if (this.on) this.notice('The microphone changed; the new one is in use.');
  }

  /** Another headset: the browser moves the sound by itself, but may leave it suspended. */
  async devicesChanged() {
    if (this.on || this.microphone.stream) await this.ready();
  }
}

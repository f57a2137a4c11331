/** How the connection stands: a chip in the bar, and a notice for what a person should know. */
const STATES = { connecting: 'Connecting', open: 'Connected', lost: 'Connection lost, trying again', closed: 'Disconnected' };

export class ConnectionView {
  constructor(chip, notices) {
    Object.assign(this, { chip, notices });
  }

  show({ state, reason }) {
    this.chip.dataset.state = state;
    this.chip.lastElementChild.textContent = STATES[state];
    if (state === 'lost') this.notices.show('The server is not answering. Nothing is lost: the conversation goes on as soon as it is back.', { stay: true });
    if (state === 'open') this.notices.hide();
    if (state === 'closed' && reason) this.notices.show(`The server ended the conversation: ${reason}. Reload the page to start again.`, { stay: true });
  }
}

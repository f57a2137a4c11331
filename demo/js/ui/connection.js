/** How the connection stands: a chip in the bar, and a notice for what a person should know. */
const STATES = { connecting: 'Connecting', open: 'Connected', lost: 'Connection lost, trying again', closed: 'Disconnected' };
const NOT_ANSWERING = 'The server is not answering. Nothing is lost: the conversation goes on as soon as it is back.';
/** Close code of a server that holds all the sessions it can. */
const FULL = 1013;

export class ConnectionView {
  constructor(chip, notices) {
    Object.assign(this, { chip, notices });
  }

  show({ state, code, reason }) {
    this.chip.dataset.state = state;
    this.chip.lastElementChild.textContent = STATES[state];
    const lost = code === FULL ? `There is no room for you yet: ${reason}. The page goes on trying.` : NOT_ANSWERING;
    if (state === 'lost') this.notices.show(lost, { stay: true });
    if (state === 'open') this.notices.hide();
    if (state === 'closed' && reason) this.notices.show(`The server ended the conversation: ${reason}. Reload the page to start again.`, { stay: true });
  }
}

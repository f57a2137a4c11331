/** Tabs by the ARIA pattern: arrow keys move, Home and End jump, one tab stop. */
export function makeTabs(list, onShow) {
  const tabs = [...list.querySelectorAll('[role=tab]')];
  const there = () => tabs.filter((tab) => !tab.hidden);
  const show = (tab, focus) => {
    for (const one of tabs) {
      const chosen = one === tab;
      one.setAttribute('aria-selected', String(chosen));
      one.tabIndex = chosen ? 0 : -1;
      document.getElementById(one.getAttribute('aria-controls')).hidden = !chosen;
    }
    if (focus) tab.focus();
    onShow(tab.id.replace('tab-', ''));
  };
  list.addEventListener('click', ({ target }) => target.role === 'tab' && show(target, false));
  list.addEventListener('keydown', (event) => {
    const open = there();
    const here = open.indexOf(document.activeElement);
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: open.length - 1 }[event.key];
    if (to === undefined || here < 0) return;
    event.preventDefault();
    show(open[(to + open.length) % open.length], true);
  });
  return (name) => show(tabs.find((tab) => tab.id === `tab-${name}`), false);
}

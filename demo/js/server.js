/** The HTTP side of the server (characters, knowledge, memory), and who is talking. */

/** What a learning platform's launch left for this tab: {ticket, player, scenario, …}, or nothing. */
export const launch = () => JSON.parse(sessionStorage.getItem('npc.launch') ?? 'null');

export const ticket = () => launch()?.ticket ?? null;

/** A stable name for this browser, so that the character remembers its owner; a launch brings its own. */
export function player() {
  const launched = launch()?.player;
  if (launched) return launched;
  let id = localStorage.getItem('npc.player');
  if (!id) localStorage.setItem('npc.player', (id = `web-${crypto.randomUUID()}`));
  return id;
}

/** JSON of a path below the page's folder, or null when the server says no. */
export async function api(path, options = {}) {
  const pass = ticket();
  const headers = { ...(pass ? { Authorization: `Bearer ${pass}` } : {}), ...options.headers };
  const answer = await fetch(new URL(path, document.baseURI), { ...options, headers }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}

/** Fill the chooser; resolves to {characters: Map by id, chosen}. `?character=` names the first one. Throws what to tell a person. */
export async function openCharacters(select) {
  const answer = await api('v1/characters');
  if (!answer) throw new Error('The server did not list its characters: it is down, or it wants a ticket that this page does not have or that has run out. Reload the page, or open it again from where it was launched.');
  const list = answer.data ?? [];
  const characters = new Map(list.map((character) => [character.id, character]));
  select.replaceChildren(...list.map(({ id, name }) => new Option(name, id)));
  const asked = new URLSearchParams(location.search).get('character');
  const chosen = characters.get(asked) ?? list[0];
  if (!chosen) throw new Error('The server has no characters. Start it with a folder that holds some, then reload the page.');
  select.value = chosen.id;
  return { characters, chosen };
}

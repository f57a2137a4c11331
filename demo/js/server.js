/** The HTTP side of the server: characters, knowledge, memory. */

/** JSON of a path below the page's folder, or null when the server says no. */
export async function api(path, options = {}) {
  const answer = await fetch(new URL(path, document.baseURI), options).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}

/** Fill the chooser; resolves to {characters: Map by id, chosen}. `?character=` names the first one. */
export async function openCharacters(select) {
  const found = (await api('v1/characters')) ?? {};
  const list = found.characters ?? found.data ?? [];
  const characters = new Map(list.map((character) => [character.id, character]));
  select.replaceChildren(...list.map(({ id, name }) => new Option(name, id)));
  const asked = new URLSearchParams(location.search).get('character');
  const chosen = characters.get(asked) ?? list[0];
  if (!chosen) throw new Error('The server has no characters.');
  select.value = chosen.id;
  return { characters, chosen };
}

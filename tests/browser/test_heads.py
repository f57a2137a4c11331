"""Heads put on and taken off: nothing is left behind on the graphics card, and the last one asked for is worn."""

from __future__ import annotations

from tests.browser.hands import opened

#: Seven changes of head; `bare` takes the model off as a scene alone would, without giving anything back.
CHANGES = """
async (bare) => {
  const { face } = npcPage;
  const counts = [];
  for (const name of ['roe', 'tam', 'roe', 'tam', 'roe', 'tam', 'roe']) {
    if (bare) {
      face.scene.remove(face.model);
      face.model = null;
    }
    await face.load(new URL(`assets/heads/${name}.glb`, document.baseURI).href);
    await new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
    counts.push(face.renderer.info.memory.geometries);
  }
  return counts;
}
"""
#: Two loads of which the first one asked for comes last.
OVERLAP = """
async () => {
  const { face } = npcPage;
  const at = (name) => new URL(`assets/heads/${name}.glb`, document.baseURI).href;
  const fetched = globalThis.fetch;
  globalThis.fetch = async (request, ...rest) => {
    if (String(request.url ?? request).includes('dana')) await new Promise((done) => { setTimeout(done, 800); });
    return fetched(request, ...rest);
  };
  const slow = face.load(at('dana'));
  await face.load(at('walter'));
  const { model } = face;
  await slow;
  globalThis.fetch = fetched;
  return face.model === model;
}
"""


def test_heads_taken_off_leave_nothing_behind_and_the_last_one_asked_for_is_worn(server: str, chromium: str) -> None:
    with opened(chromium, f"{server}/?character=sela-marrow") as page:
        page.evaluate(CHANGES, False)
        counts = page.evaluate(CHANGES, False)
        assert counts[0] == counts[2] == counts[-1], counts
        leaked = page.evaluate(CHANGES, True)
        assert leaked[-1] > leaked[0], "the count does not show what is left behind"
        assert page.evaluate(OVERLAP)

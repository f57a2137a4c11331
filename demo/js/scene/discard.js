/** Take `object` out of its scene and give back what it holds on the graphics card: three.js does not do that by itself. */
export function discard(object) {
  object.removeFromParent();
  object.traverse(({ geometry, skeleton, material }) => {
    geometry?.dispose();
    skeleton?.dispose();
    for (const one of [material ?? []].flat()) {
      for (const value of Object.values(one)) if (value?.isTexture) value.dispose();
      one.dispose();
    }
  });
}

/** What a VRM file (0.x or 1.0) says beside its glTF: expressions as sets of morph targets, the head bone, which way it faces. */

/**
 * {expressions: Map of name to [{node, index, own}], head, backwards} of GLTFLoader's `parser`, or null for a model that is no VRM.
 * `own` is the target's weight in the expression, in [0, 1]. VRM 0.x figures look along -z.
 */
export function vrmExpressions(parser) {
  const { VRMC_vrm: one, VRM: zero } = parser.json.extensions ?? {};
  if (!one && !zero) return null;
  const byNode = new Map();
  const byMesh = new Map();
  for (const [object, reference] of parser.associations) {
    if (reference.nodes !== undefined && object.isObject3D) byNode.set(reference.nodes, object);
    if (reference.meshes !== undefined && object.isMesh) byMesh.set(reference.meshes, [...(byMesh.get(reference.meshes) ?? []), object]);
  }
  const morphed = (objects, index, own) => objects.filter((node) => node.morphTargetInfluences?.length > index).map((node) => ({ node, index, own }));
  const meshesOf = (object) => {
    const found = [];
    object?.traverse((node) => node.isMesh && found.push(node));
    return found;
  };
  const expressions = new Map();
  if (one) {
    for (const [name, { morphTargetBinds: binds = [] }] of Object.entries(one.expressions?.preset ?? {})) {
      expressions.set(name, binds.flatMap(({ node, index, weight = 1 }) => morphed(meshesOf(byNode.get(node)), index, weight)));
    }
    return { expressions, head: byNode.get(one.humanoid?.humanBones?.head?.node) ?? null, backwards: false };
  }
  for (const { presetName, name, binds = [] } of zero.blendShapeMaster?.blendShapeGroups ?? []) {
    const called = { blink_l: 'blinkLeft', blink_r: 'blinkRight' }[presetName] ?? (presetName && presetName !== 'unknown' ? presetName : name);
    expressions.set(called, binds.flatMap(({ mesh, index, weight = 100 }) => morphed(byMesh.get(mesh) ?? [], index, weight / 100)));
  }
  const head = zero.humanoid?.humanBones?.find(({ bone }) => bone === 'head');
  return { expressions, head: head ? (byNode.get(head.node) ?? null) : null, backwards: true };
}

"""A head of our own: a procedurally built, stylised character with the 52 ARKit shapes, as small GLB files.

    npc.animation.head.looks   who it is: colours, age, hair, ears (parameters)
    npc.animation.head.shape   the surface: smooth union of simple solids, hit by rays
    npc.animation.head.skin    the mesh of the face: rings around eyes and mouth, triangles between
    npc.animation.head.targets the 52 displacement fields
    npc.animation.head.parts   eyes, teeth, tongue, brows, lashes, ears; .hair and .bust the rest
    npc.animation.head.glb     GLB reading and writing
    npc.animation.head.build   python -m npc.animation.head.build  (needs scipy, a development dependency)

Units while building: half a head's width is about 0.8; files are in metres. y is up, z is the way the face looks, +x
the character's left.
"""

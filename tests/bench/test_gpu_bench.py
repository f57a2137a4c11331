"""`npc bench gpu` without a GPU: it says so, and what it would read does not fit a cache."""

from __future__ import annotations

import pytest

from npc.bench.gpu import rotation

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("rows", "cols"), [(96, 64), (4096, 512)])
def test_the_matrices_read_in_turn_exceed_the_cache(rows: int, cols: int) -> None:
    """One matrix read again and again came from the cache: above 100 % of what the memory gives."""
    cache = 100_000
    packed, scale = torch.ones((rows, cols), dtype=torch.uint8), torch.ones((rows, cols // 32), dtype=torch.float16)
    copies = rotation(packed, scale, cache)
    size = packed.nbytes + scale.nbytes
    assert 4 * cache <= len(copies) * size < 4 * cache + size
    assert copies[0][0] is packed
    assert len({one.data_ptr() for pair in copies for one in pair}) == 2 * len(copies), "none shares memory"
    assert all(torch.equal(p, packed) and torch.equal(s, scale) for p, s in copies)

"""A data file past 1 GiB, where SQLite's lock page lies."""

import os
import random

import pytest

from wire import batch, span, trace_id

GIBIBYTE = 1 << 30


@pytest.mark.skipif("FUSEBOX_NIGHTLY" not in os.environ, reason="takes minutes: scripts/nightly.sh size")
def test_past_the_lock_page(launch, tmp_path):
    fusebox = launch()
    chance = random.Random(1)
    count = 0
    while (fusebox.folder / "fusebox.db").stat().st_size < GIBIBYTE * 5 // 4:
        spans = [span(trace_id(), attributes=[("filling", chance.randbytes(200_000).hex())]) for _ in range(20)]
        assert fusebox.post(batch(*spans)).status == 200
        count += len(spans)
    fusebox.restart()
    assert fusebox.scalar("SELECT count(*) FROM spans") == count
    assert fusebox.scalar("SELECT sum(length(attr(attributes, 'filling'))) FROM spans") == count * 400_000
    done = fusebox.run("verify", "--data-dir", str(fusebox.folder), timeout=600)
    assert done.returncode == 0, done

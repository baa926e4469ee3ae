"""The soak itself, in short: payments through the faults that matter most; `make soak` has them all, for minutes."""

from pathlib import Path

import pytest

from tests.soak.__main__ import SoakSettings, soak

FAULTS = ("service_killed", "service_rolled", "fraud_rolled", "network_cut")


@pytest.mark.timeout(300)
async def test_nothing_is_lost_doubled_or_wrong_whatever_breaks(tmp_path: Path) -> None:
    settings = SoakSettings(seconds=42, rate=100, fault_every=8, faults=FAULTS)
    verdict = await soak(settings, tmp_path)
    assert sorted(verdict.faults) == sorted(FAULTS)
    assert str(verdict) == f"sent {verdict.sent} acknowledged {verdict.sent} lost 0 doubled 0 wrong 0", verdict.wrong
    assert verdict.sent > 1000

"""Over two simulated years the closed loop earns more net-back than fixed shares and than argmax, with its interval."""

from __future__ import annotations

import pytest

from infra.sandbox.closed_loop import Loop, advantage, compare, run


def test_in_one_world_the_loop_earns_more_than_fixed_shares_and_again_the_same() -> None:
    loop = Loop(months=12)
    earned = run(loop, "loop", 1)
    assert earned > run(loop, "fixed", 1)
    assert earned == run(loop, "loop", 1)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_over_24_months_the_loop_earns_more_than_fixed_shares_and_than_argmax(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = advantage(compare(Loop(), range(300, 348)))
    with capsys.disabled():
        print("\nnet-back of the loop over each other rule, 48 worlds, 95% interval")
        for rule, row in found.iterrows():
            print(f"  {rule:<8}{row['mean']:+.1%}  [{row['low']:+.1%}, {row['high']:+.1%}]")
    assert set(found.index) == {"fixed", "raw", "argmax"}
    assert (found["low"] > 0).all()

import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.baselines.factorcl import FactorCL, FactorCLOptions, SupervisedFactorCL
from dssl_bio.learning.losses.critics import nce_bound, nce_club
from dssl_bio.learning.two_view_training import Minibatch


def prepared(kind=FactorCL):
    model = kind(kind.Options(dim=4, hidden=8, minibatch=10, critic_hidden=6))
    model.assemble([[5], [6]])
    with torch.no_grad():  # untrained critics say almost nothing: loud ones, so that every term counts
        for critic in model.critics.values():
            critic.out.weight.mul_(30)
            critic.of_x.weight.mul_(5)
    generator = torch.Generator().manual_seed(0)
    views = [[torch.randn(10, width, generator=generator) for _ in (0, 1)] for width in (5, 6)]
    labels = torch.tensor([0, 1] * 5)
    return model, Minibatch((views[0], views[1]), labels, generator)


@pytest.mark.parametrize("kind", [FactorCL, SupervisedFactorCL])
def test_loss_is_minus_s_and_both_u_written_out(kind):
    model, batch = prepared(kind)
    first, second = ([model.codes(m, view) for view in batch.views[m]] for m in (0, 1))
    (s1, u1), (s1_task, u1_task) = first
    (s2, u2), (s2_task, u2_task) = second
    if kind is SupervisedFactorCL:
        s1_task = s2_task = u1_task = u2_task = F.one_hot(batch.labels, 2).float()
    critics = model.critics
    given = {part: (torch.cat([a, a_task], 1), torch.cat([b, b_task], 1)) for part, (a, a_task, b, b_task) in
             {"S": (s1, s1_task, s2, s2_task), "U": (u1, u1_task, u2, u2_task)}.items()}
    s = nce_bound(critics["S"](s1, s2)) - nce_club(critics["S_given"](*given["S"]))
    u = [nce_bound(critics[f"U{i + 1}"](code, task)) - nce_club(critics["U"](u1, u2))
         + nce_bound(critics["U_given"](*given["U"])) for i, (code, task) in enumerate([(u1, u1_task), (u2, u2_task)])]
    terms = model.loss(1, batch).terms
    assert float(terms["lower_bounds"] + terms["upper_bounds"]) == pytest.approx(-float(s + u[0] + u[1]), rel=1e-4)
    learning = -nce_bound(critics["S_given"](*given["S"])) - nce_bound(critics["U"](u1, u2))
    assert float(terms["critics"]) == pytest.approx(float(learning), rel=1e-5)


def test_upper_bounds_move_the_codes_only_and_their_critics_learn_on_their_own():
    model, batch = prepared()
    upper = [critic for name in ("S_given", "U") for critic in model.critics[name].parameters()]
    model.loss(1, batch).terms["upper_bounds"].backward()
    assert all(p.grad is None for p in upper)
    assert all(float(p.grad.abs().sum()) > 0 for p in model.encoders[0].parameters())
    model.zero_grad(set_to_none=True)
    model.loss(1, batch).terms["critics"].backward()
    assert all(p.grad is None for p in model.encoders.parameters())
    assert float(upper[0].grad.abs().sum()) > 0


def test_the_supervised_form_wants_labels_within_its_classes():
    x1, x2 = torch.randn(20, 5), torch.randn(20, 6)
    model = SupervisedFactorCL(SupervisedFactorCL.Options(dim=4, hidden=8, minibatch=10, epochs=1, critic_hidden=6))
    with pytest.raises(ValueError, match="supervised FactorCL needs labels"):
        model.fit(x1, x2)
    with pytest.raises(ValueError, match="expected classes from 0 to 1, got 2"):
        model.fit(x1, x2, torch.arange(20) % 3)
    with pytest.raises(ValueError, match="expected one label a pair, got 19 for 20 pairs"):
        model.fit(x1, x2, torch.zeros(19))


def test_an_unknown_option_is_refused():
    with pytest.raises(ValueError, match="critic_width"):
        FactorCLOptions(critic_width=3)

import itertools

import torch
from torch import nn

from variate import registry
from variate.random.fixing import fixed
from variate.random.packing import packed, settle, unpacked
from variate.training.defense import defended
from variate.training.defenses.vote import Vote


class Fixed(nn.Module):
    """A network whose answer is a parameter."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, x):
        return self.logits.expand(len(x), -1) + 0 * x.sum()


def test_every_member_has_one_vote_and_the_mean_breaks_ties():
    x = torch.zeros(2, 1)
    majority = Vote([Fixed(0.1, 0.0, 0.0), Fixed(0.1, 0.0, 0.0), Fixed(0.0, 9.0, 0.0)]).eval()
    assert majority(x).argmax(1).tolist() == [0, 0]  # the mean probability says 1
    assert torch.allclose(majority(x).exp().sum(1), torch.ones(2))
    tie = Vote([Fixed(0.1, 0.0, 0.0), Fixed(0.0, 9.0, 0.0)]).eval()
    assert tie(x).argmax(1).tolist() == [1, 1]


def test_the_gradient_is_that_of_the_log_of_the_mean_probability():
    x = torch.zeros(1, 1)
    members = [Fixed(0.3, -0.2), Fixed(-1.0, 0.5)]
    (-Vote(members).eval()(x)[0, 0]).backward()
    found = [member.logits.grad.clone() for member in members]
    logits = [member.logits.detach().clone().requires_grad_() for member in members]
    (-torch.stack([own.softmax(0)[0] for own in logits]).mean().log()).backward()
    assert all(torch.allclose(own, other.grad) for own, other in zip(found, logits, strict=True))


def voters(**options):
    torch.manual_seed(0)
    text = "vote(members=3, family=binomial(bits=1))"
    return defended(text, nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), shape=(1, 2, 2))[0]


def test_members_differ_and_draw_apart():
    net, x = voters().eval(), torch.rand(5, 1, 2, 2)
    assert registry.get("defenses", "vote").facts["random"]
    seen = []
    hooks = [member.register_forward_hook(lambda module, inputs, output: seen.append(output)) for member in net.members]
    with fixed(net, 3):
        net(x)
    assert not any(torch.equal(one, other) for one, other in itertools.pairwise(seen))
    for hook in hooks:
        hook.remove()


def test_its_members_are_stored_in_few_bits():
    net = voters()
    settle(net)
    state = packed(net)
    assert state["members.2.1.weight"].nbytes == 2  # 12 bits
    assert all(torch.equal(unpacked(net, state)[name], tensor) for name, tensor in net.state_dict().items())

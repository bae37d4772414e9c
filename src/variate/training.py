"""Train a network on an objective: one plain loop that can be stopped at any moment and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from variate.checkpoint import load_training, save_training
from variate.clock import Clock
from variate.datasets._batches import Batches
from variate.errors import UsageError
from variate.inputs import check_inputs
from variate.network import RandomNetwork
from variate.progress import Report, progress
from variate.randomness import Stream, hash_words
from variate.recipe import Objective, Recipe, wire

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true")


class Loader(Protocol):
    """Batches of inputs and labels; ``set_epoch`` is called if there is one."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]: ...

    def __len__(self) -> int: ...


@dataclass
class History:
    """What happened, by epoch: the mean loss, and the validation accuracy where there was a split."""

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


def train(
    network: nn.Module,
    loader: Loader,
    *,
    objective: str = "cross-entropy",
    epochs: int = 10,
    lr: float = 2e-3,
    scale_lr: float = 5.0,
    weight_decay: float = 1e-4,
    budget: str | None = None,
    attack_steps: int = 10,
    seed: int = 0,
    validation: tuple[Tensor, Tensor] | None = None,
    teacher: nn.Module | None = None,
    devices: int = 1,
    accelerator: str = "auto",
    precision: str = "32-true",
    checkpoint: str | Path | None = None,
    name: str = "network",
    show_progress: bool = False,
) -> History:
    """Train ``network`` in place; it ends on the accelerator's device, in eval mode.

    Args:
        network: any module; a ``RandomNetwork`` draws afresh, from the training stream, at every forward.
        loader: batches (x, y); a DataLoader, or anything with a length that can be iterated once per epoch.
        objective: names joined by ``+``, each with optional options and weight: ``adversarial+snr(target=10):0.5``.
        epochs: passes over the data.
        lr: learning rate of AdamW at the start, decayed to zero along a cosine over all steps.
        scale_lr: how many times faster the learned tensors beside the means (the scales) learn.
        weight_decay: of the means; scales are never decayed.
        budget: of the inner attack, if the objective has one.
        attack_steps: steps of the inner PGD.
        seed: of the key stream, of dropout and the like.
        precision: of lightning-fabric: ``32-true``, ``bf16-mixed``, ``16-mixed`` or ``64-true``.
        validation: inputs and labels whose accuracy is noted after every epoch.
        teacher: a network that a distillation learns from.
        devices: number of processes (data parallel, through lightning-fabric); more than one needs a script or the
            command line, which is started once per device.
        accelerator: ``auto``, ``cpu``, ``cuda`` and so on.
        checkpoint: a file that keeps the state after every epoch; if it exists, training goes on from it.
        name: shown with the progress.
        show_progress: show a progress bar on standard error.

    Returns:
        The losses and validation accuracies by epoch.

    Raises:
        UsageError: for an unknown objective, or an adversarial one without a budget.
        CheckpointError: if ``checkpoint`` belongs to another training run.
    """
    recipe = Recipe(objective, epochs, lr, scale_lr, weight_decay, budget, attack_steps, seed, precision)
    _check(recipe, loader)
    if validation is not None:
        check_inputs(*validation)
    stream = Stream("train", seed)
    clock = Clock(examples=_examples(loader))
    loss = wire(recipe, network, stream, clock=clock, teacher=teacher)
    fabric = _fabric(accelerator, devices=devices, precision=precision)
    if devices > 1:
        fabric.launch()
    optimizer = _optimizer(network, recipe)
    wrapped, optimizer = fabric.setup(network, optimizer)
    if teacher is not None:
        teacher.to(fabric.device).eval()
    batches = _share(fabric, loader)
    clock.total = epochs * len(batches)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer.optimizer, max(1, epochs * len(batches)))
    history = History()
    first = _resume(checkpoint, recipe, network, optimizer.optimizer, schedule, stream, history)
    show = show_progress and fabric.is_global_zero
    with progress(f"training {name}", epochs, "epochs", already=first, show=show) as report:
        for epoch in range(first, epochs):
            with _seeded(recipe, epoch), _drawing(network, stream):
                mean = _epoch(fabric, wrapped, optimizer, schedule, batches, loss, clock, epoch, report)
            history.losses.append(float(fabric.all_reduce(torch.tensor(mean), reduce_op="mean")))
            if validation is not None:
                history.validation.append(_accuracy(network, *validation, recipe, epoch))
            if checkpoint is not None and fabric.is_global_zero:
                facts = {"recipe": asdict(recipe), "epoch": epoch + 1, "stream": stream.index, "history": vars(history)}
                save_training(Path(checkpoint), network, optimizer.optimizer, schedule, facts)
            report(epoch + 1, f"loss {mean:.3f}")
    return history


def _epoch(
    fabric: Any,
    net: Any,
    optimizer: Any,
    schedule: Any,
    batches: Any,
    loss: Objective,
    clock: Clock,
    epoch: int,
    report: Report,
) -> float:
    if hasattr(batches, "set_epoch"):
        batches.set_epoch(epoch)
    net.train()
    total, count = 0.0, 0
    for x, y in batches:
        x, y = fabric.to_device((x, y))
        clock.step = epoch * len(batches) + count
        value = loss(net, x, y)
        fabric.backward(value)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        total, count = total + float(value.detach()), count + 1
        report(epoch + count / len(batches))
    net.eval()
    if not total < float("inf"):
        raise UsageError(f"the loss is {total / count} in epoch {epoch + 1}", todo="lower the learning rate")
    return total / max(count, 1)


def _accuracy(network: nn.Module, x: Tensor, y: Tensor, recipe: Recipe, epoch: int) -> float:
    device = next(network.parameters()).device
    right = 0
    far = hash_words("validation", epoch) % 2**40  # keys of the same stream that no training step reaches
    stream = Stream("train", recipe.seed, index=far)
    with torch.no_grad(), _drawing(network, stream):
        for start in range(0, len(x), 1000):
            logits = network(x[start : start + 1000].to(device))
            right += int((logits.argmax(1).cpu() == y[start : start + 1000].cpu()).sum())
    return right / len(x)


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; the learned tensors beside the means have a faster rate and no decay."""
    scales = network.scale_parameters() if isinstance(network, RandomNetwork) else []
    known = {id(p) for p in scales}
    means = [p for p in network.parameters() if p.requires_grad and id(p) not in known]
    groups: list[dict[str, Any]] = [{"params": means, "lr": recipe.lr, "weight_decay": recipe.weight_decay}]
    learned = [p for p in scales if p.requires_grad]
    if learned:
        groups.append({"params": learned, "lr": recipe.lr * recipe.scale_lr, "weight_decay": 0.0})
    return torch.optim.AdamW(groups)


def device_of(accelerator: str) -> torch.device:
    """The first device of an accelerator; the best there is for ``auto``."""
    return cast(torch.device, _fabric(accelerator, devices=1, precision="32-true").device)


def _fabric(accelerator: str, *, devices: int, precision: str) -> Any:
    import warnings

    from lightning_fabric import Fabric

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fabric advises about accelerators that were not asked for
        try:
            return Fabric(accelerator=accelerator, devices=devices, precision=cast(Any, precision))
        except (RuntimeError, ValueError) as error:  # fabric's words name what is there
            raise UsageError(f"cannot use the accelerator {accelerator!r}: {error}") from error


def _share(fabric: Any, loader: Loader) -> Loader:
    """This process's share of the batches; all processes draw the same networks."""
    if isinstance(loader, torch.utils.data.DataLoader):
        return cast(Loader, fabric.setup_dataloaders(loader))
    if fabric.world_size == 1:
        return loader
    if not isinstance(loader, Batches):
        raise UsageError("a list of batches cannot be shared by several processes", todo="pass a DataLoader")
    return loader.share(fabric.global_rank, fabric.world_size)


def _examples(loader: Loader) -> int:
    """How many examples an epoch has; a loader that does not know is taken to have full batches."""
    data = getattr(loader, "dataset", None)
    if data is not None:
        return len(data)
    if isinstance(loader, Batches):
        return len(loader.x)
    return sum(len(x) for x, _ in loader)


def is_first_process() -> bool:
    """Whether this process is the one that writes and speaks; always, where there is only one."""
    distributed = torch.distributed
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


def _drawing(network: nn.Module, stream: Stream) -> AbstractContextManager[None]:
    return network.keys_from(stream) if isinstance(network, RandomNetwork) else nullcontext()


@contextmanager
def _seeded(recipe: Recipe, epoch: int) -> Iterator[None]:
    """Dropout and the like depend on seed and epoch only, so a resumed run equals an uninterrupted one."""
    with torch.random.fork_rng():
        torch.manual_seed(hash_words("epoch", recipe.seed, epoch) % 2**32)
        yield


def _resume(
    checkpoint: str | Path | None,
    recipe: Recipe,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    stream: Stream,
    history: History,
) -> int:
    """Restore the state after the last complete epoch; the number of epochs done."""
    if checkpoint is None or not Path(checkpoint).exists():
        return 0
    facts = load_training(Path(checkpoint), network, optimizer, schedule, asdict(recipe))
    stream.index = facts["stream"]
    history.losses, history.validation = facts["history"]["losses"], facts["history"]["validation"]
    return int(facts["epoch"])


def _check(recipe: Recipe, loader: object) -> None:
    if recipe.epochs < 1:
        raise UsageError(f"cannot train for {recipe.epochs} epochs", expected="at least 1")
    if recipe.precision not in PRECISIONS:
        raise UsageError(f"there is no precision {recipe.precision!r}", expected=f"one of {', '.join(PRECISIONS)}")
    if not hasattr(loader, "__len__"):
        raise UsageError("the loader has no length", expected="a DataLoader, or a list of (x, y) batches")

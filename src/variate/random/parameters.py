"""Which parameters of a module become random, with which family, and what prevents it: every finding at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from variate import registry
from variate.errors import RandomizeError, UsageError
from variate.inputs.validation import without_values
from variate.options import parse
from variate.random.distribution import Site, family_named, with_defaults
from variate.random.families.modes import Modes
from variate.random.hidden import unregistered
from variate.random.keys import hash_words
from variate.random.noise import native
from variate.random.patterns import first_match, no_match
from variate.random.scale import Share, mean_square

LEAST_SIZE = 0.1  # of a tensor, relative to the largest in its module
HANDLE = "_variate"  # the attribute of the user's module that holds all of Variate's state


def find_sites(
    module: nn.Module,
    family: str | Mapping[str, str],
    *,
    share: Share = "element",
    floor: float = 0.0,
    snr: float = 0.0,
    problems: Sequence[str] = (),
) -> list[Site]:
    """One site for every parameter of ``module`` that becomes random; tied parameters make one site.

    Args:
        module: any module.
        family: one family for all, or a mapping from name patterns (``fc.*``) to families, with optional options; the
            first matching pattern applies, and a parameter that matches none is ``normal``.
        share: default sharing of the scale, for families that do not set their own.
        floor: default minimum scale, for families that do not set their own.
        snr: default fixed signal-to-noise ratio, for families that do not set their own.
        problems: problems with other arguments, to report with the rest.

    Raises:
        RandomizeError: if the module cannot be randomized; it lists every reason.
        UsageError: if only the arguments are invalid.
    """
    patterns = {"*": family} if isinstance(family, str) else dict(family)
    families, wrong = _family_texts([*patterns.items(), (None, "normal")], share, floor, snr)
    wrong += problems
    sites: list[Site] = []
    findings = [*_module_findings(module)]
    scripted = outermost_scripts(module)
    places = [(p, o) for p, o in parameter_places(module) if not any(_within(o[0][0], path) for path in scripted)]
    inner = [path for path, part in module.named_modules() if path and HANDLE in vars(part)]
    hidden = unregistered(module)
    matched = set()
    for parameter, owners in places:
        name = qualified(owners[0])
        pattern = first_match(patterns, [*map(qualified, owners)])
        matched.add(pattern)
        text = families.get(pattern, "normal")  # an invalid family is already in wrong; still check its parameters
        if not registry.get("families", parse(text, "a family")[0]).facts["random"]:
            continue
        within = next((path for path in inner if name.startswith(f"{path}.")), None)
        if within is not None:
            finding = f"{within} is a random network already: name {within}.* 'fixed' to keep its own distribution"
            findings += [finding] if finding not in findings else []
            continue
        site = Site(name, text, owners, hash_words("parameter", name), _channel(module, owners[0]))
        findings += _parameter_findings(module, site, parameter)
        sites.append(site)
    findings += [*_storage_findings(places), *_mode_findings(sites)]
    for name, why in hidden.items():
        pattern = first_match([p for p in patterns if p != "*"], [name])
        matched.add(pattern)
        if registry.get("families", parse(families.get(pattern, "normal"), "a family")[0]).facts["random"]:
            findings.append(f"{name} {why}")
    if not isinstance(family, str):
        names = [*(qualified(owner) for _, owners in places for owner in owners), *hidden]
        findings += [no_match(pattern, names) for pattern in patterns if pattern not in matched]
    if not sites and not findings and not wrong:
        findings.append("it has no parameter that could be random")
    if findings:
        raise RandomizeError(
            f"{type(module).__name__} cannot be made random",
            findings=[*wrong, *findings],
            todo="fix each finding, or name an exception with family={'pattern': 'fixed'}",
        )
    if wrong:
        raise UsageError("the parameters cannot be made random with these arguments", findings=wrong)
    return sites


def _family_texts(
    patterns: Sequence[tuple[str | None, str]], share: Share, floor: float, snr: float
) -> tuple[dict[str | None, str], list[str]]:
    """The family text of every valid pattern, and the problems of the others. Raises for an unknown family."""
    families: dict[str | None, str] = {}
    wrong: list[str] = []
    for pattern, text in patterns:
        registry.get("families", parse(text, "a family")[0])
        try:
            families[pattern] = with_defaults(text, share, floor, snr)
            family_named(families[pattern])
        except UsageError as error:
            families.pop(pattern, None)
            wrong += [" ".join(str(error).split())] if " ".join(str(error).split()) not in wrong else []
    return families, wrong


def _channel(module: nn.Module, owner: tuple[str, str]) -> int:
    """The dimension of the output channels: the first, except for transposed convolutions."""
    path, attribute = owner
    return int(attribute == "weight" and isinstance(module.get_submodule(path), _ConvTransposeNd))


def qualified(owner: tuple[str, str]) -> str:
    """The full name of a place: (path, attribute) to ``path.attribute``."""
    return ".".join(part for part in owner if part)


def parameter_places(module: nn.Module) -> list[tuple[nn.Parameter, tuple[tuple[str, str], ...]]]:
    """Every parameter once, with every (path, attribute) that holds it."""
    places: dict[int, tuple[nn.Parameter, list[tuple[str, str]]]] = {}
    for path, submodule in module.named_modules():
        for attribute, parameter in submodule._parameters.items():
            if parameter is not None:
                places.setdefault(id(parameter), (parameter, []))[1].append((path, attribute))
    return [(parameter, tuple(owners)) for parameter, owners in places.values()]


def parameter_at(module: nn.Module, owner: tuple[str, str]) -> nn.Parameter:
    """The parameter registered at a place, even while a draw shadows it."""
    path, attribute = owner
    parameter = module.get_submodule(path)._parameters[attribute]
    return cast(nn.Parameter, parameter)


def starting_sizes(module: nn.Module, sites: Sequence[Site]) -> dict[str, Tensor]:
    """The root mean square of every site's mean, the reference for its first noise. Detached scalars by name.

    A tensor of zeros has no size: it takes that of the largest site in the same module (a batch norm's bias that of its
    weight). Where all are zero (the last norm of a block, a zero convolution, LoRA's second matrix), it takes that of a
    layer that keeps the variance of its inputs, 1 / sqrt(fan in), so that its noise is in proportion to its inputs.
    """
    sizes = {site: _root_mean_square(module, site) for site in sites}
    largest, keeping = _largest(sizes), _keeping_variance(module, sites)
    return {
        site.name: torch.where(size > 0, size, torch.where(largest[path] > 0, largest[path], keeping[path]))
        for site, size in sizes.items()
        for path in [site.owners[0][0]]
    }


def running_sizes(module: nn.Module, sites: Sequence[Site]) -> dict[str, Tensor]:
    """The size of every site's mean while it is trained, at least a tenth of that of a tensor of zeros in its place.

    So the noise of a tensor that starts at zero does not collapse when the first step makes it tiny.
    """
    sizes = {site: _root_mean_square(module, site) for site in sites}
    largest, keeping = _largest(sizes), _keeping_variance(module, sites)
    return {
        site.name: torch.maximum(size, LEAST_SIZE * largest[path].clamp_min(keeping[path]))
        for site, size in sizes.items()
        for path in [site.owners[0][0]]
    }


def _root_mean_square(module: nn.Module, site: Site) -> Tensor:
    return mean_square(parameter_at(module, site.owners[0]).detach().float()).sqrt()


def _largest(sizes: Mapping[Site, Tensor]) -> dict[str, Tensor]:
    """The size of the largest site of every module."""
    largest: dict[str, Tensor] = {}
    for site, size in sizes.items():
        path = site.owners[0][0]
        largest[path] = torch.maximum(largest[path], size) if path in largest else size
    return largest


def _keeping_variance(module: nn.Module, sites: Sequence[Site]) -> dict[str, float]:
    """1 / sqrt(fan in) of every module with sites: the size of weights that keep the variance of its inputs."""
    fans: dict[str, int] = {}
    for site in sites:
        path, mean = site.owners[0][0], parameter_at(module, site.owners[0])
        fan = mean.numel() // max(1, mean.shape[site.channel]) if mean.dim() > 1 else 1
        fans[path] = max(fans.get(path, 1), fan)
    return {path: fan**-0.5 for path, fan in fans.items()}


def _module_findings(module: nn.Module) -> Iterator[str]:
    if not any(True for _ in module.parameters()):
        yield "it has no parameters"
    for path in outermost_scripts(module):
        name = path or "the module itself"
        yield f"{name} is TorchScript, whose weights cannot be replaced: randomize it before scripting"
    if "forward" in vars(module) and not isinstance(module, torch.jit.ScriptModule):
        yield "its forward is an attribute of the instance, which would bypass the draw: define it in the class"
    if hasattr(module, HANDLE):
        yield (
            f"it already has {HANDLE}, where a random network keeps its state: it is random already, "
            "or it has an attribute of that name, which must be renamed"
        )


def outermost_scripts(module: nn.Module) -> list[str]:
    """The paths of the TorchScript modules that are not inside another one."""
    paths: list[str] = []
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule) and not any(_within(path, outer) for outer in paths):
            paths.append(path)
    return paths


def _within(path: str, outer: str) -> bool:
    return not outer or path == outer or path.startswith(f"{outer}.")


def _parameter_findings(module: nn.Module, site: Site, parameter: nn.Parameter) -> Iterator[str]:
    if is_lazy(parameter):
        yield f"{site.name} is not initialized yet: run one forward pass first"
        return
    if type(parameter) is not nn.Parameter and is_traceable_wrapper_subclass(parameter):
        yield f"{site.name} is a {type(parameter).__name__}, which has no memory of its own: randomize the plain module"
        return
    if why := without_values(parameter):
        yield f"{site.name} {why}: load its weights first"
        return
    if parameter.is_sparse:
        yield f"{site.name} is sparse: call .to_dense() first"
    if not parameter.is_floating_point():
        yield f"{site.name} is {parameter.dtype}, and only real floating-point parameters can be random"
    for path, name in site.learned_places():
        if hasattr(module.get_submodule(path), name):
            yield f"{qualified((path, name))} already exists, and the scale of {site.name} needs that name"


def _mode_findings(sites: Sequence[Site]) -> Iterator[str]:
    """One index chooses the mode of every parameter, so all must have as many modes, with the same probabilities."""
    modes = [(site.distribution, site) for site in sites if isinstance(site.distribution, Modes)]
    first = {(family.count, family.probabilities): f"{site.name} is {site.family}" for family, site in reversed(modes)}
    if len(first) > 1:
        yield f"one mode index belongs to the whole network, but {' and '.join(first.values())}"


def _storage_findings(places: list[tuple[nn.Parameter, tuple[tuple[str, str], ...]]]) -> Iterator[str]:
    """Two different parameters that overlap would be drawn twice: tied parameters must be one object.

    Parameters that lie side by side in one storage (flattened recurrent weights, ``vector_to_parameters``) may.
    """
    by_storage: dict[int, list[tuple[str, nn.Parameter]]] = {}
    for parameter, owners in places:
        if not is_lazy(parameter) and native.is_plain(parameter) and parameter.numel():
            address = parameter.untyped_storage().data_ptr()
            by_storage.setdefault(address, []).append((qualified(owners[0]), parameter))
    for neighbors in by_storage.values():
        if len(neighbors) > 1:
            yield from _overlaps(neighbors)


def _overlaps(neighbors: list[tuple[str, nn.Parameter]]) -> Iterator[str]:
    """The parameters of one storage that share elements with an earlier one."""
    bytes_of = {name: _bytes(parameter) for name, parameter in neighbors}
    owner = torch.full((neighbors[0][1].untyped_storage().nbytes(),), -1, dtype=torch.int32, device="cpu")
    for index, (name, indices) in enumerate(bytes_of.items()):
        earlier = int(owner[indices].max())
        if earlier >= 0:
            first = neighbors[earlier][0]
            yield f"{name} shares memory with {first} without being the same Parameter: tie the objects"
        owner[indices] = index


def _bytes(parameter: nn.Parameter) -> Tensor:
    """The places in its storage of the first byte of every element of a parameter."""
    places = torch.full((), int(parameter.storage_offset()), dtype=torch.int64, device="cpu")
    for size, stride in zip(parameter.shape, parameter.stride(), strict=True):
        places = places[..., None] + torch.arange(size, device="cpu") * stride
    return places.flatten() * parameter.itemsize


def describe_exceptions(module: nn.Module, sites: list[Site]) -> list[str]:
    """The names of the deterministic parameters."""
    random = {owner for site in sites for owner in site.owners}
    return [qualified(owner) for _, owners in parameter_places(module) for owner in owners if owner not in random]

"""The build's own step: compile the native sampler, once for each width of vector register, into one shared library.

It knows no Python and no torch, so one wheel serves every version of both on its platform. Where there is no C compiler
the package is built without it and makes the same noise in torch, more slowly; ``variate doctor`` says which is in use.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/variate/random/noise/noise.c")
LIBRARY = Path("src/variate/random/noise/noise.so")
FLAGS = [
    "-O3",
    "-fPIC",
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
]
X86_WIDTHS = {16: ["-march=x86-64-v4", "-mprefer-vector-width=512"], 8: ["-march=x86-64-v3"], 4: []}
OTHER_WIDTHS: dict[int, list[str]] = {4: []}


class NativeSampler(BuildHookInterface[Any]):
    """Adds the compiled library to wheels and to editable installs; leaves source distributions alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as one of this platform."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        problem = compile_library(root / SOURCE, root / LIBRARY)
        if problem:
            self.app.display_warning(f"variate is built without its native sampler: {problem}")
            return
        build_data["artifacts"].append(str(LIBRARY))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def compile_library(source: Path, library: Path) -> str | None:
    """Compile ``source`` into ``library``; what went wrong, if anything did."""
    library.unlink(missing_ok=True)
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        compiler = ["cc"]
    if shutil.which(compiler[0]) is None:
        return f"there is no C compiler ({compiler[0]})"
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    with tempfile.TemporaryDirectory() as folder:
        parts = {f"work{lanes}": [f"-DLANES={lanes}", *arch] for lanes, arch in _widths(x86).items()}
        parts["entry"] = ["-DVARIATE_ENTRY", *(["-DVARIATE_X86"] if x86 else [])]
        objects = [f"{folder}/{name}.o" for name in parts]
        built = f"{folder}/noise.so"
        commands = [
            [*compiler, *FLAGS, *words, "-c", str(source), "-o", target]
            for words, target in zip(parts.values(), objects, strict=True)
        ]
        commands.append([*compiler, "-shared", "-o", built, *objects, "-lm"])
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                return f"{shlex.join(command)} failed: {done.stderr.strip()}"
        shutil.copyfile(built, library)
    return None


def _widths(x86: bool) -> dict[int, list[str]]:
    return X86_WIDTHS if x86 else OTHER_WIDTHS


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.exit(compile_library(here / SOURCE, here / LIBRARY))

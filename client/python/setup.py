"""Generates the protocol stubs from proto/ into automot_client/_generated while the package is built."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
PACKAGE = "automot_client._generated"


def proto_root() -> Path:
    """The folder of automot/v1/*.proto: bundled in a source distribution, else the repository's."""
    for root in (HERE / "proto", HERE.parent.parent / "proto"):
        if (root / "automot" / "v1").is_dir():
            return root
    raise FileNotFoundError(
        "proto/automot/v1 was found neither beside setup.py nor in the repository"
    )


def compile_protos(root: Path, target: Path) -> None:
    """Runs grpcio-tools where it is installed, as in pip's build environment, else the system's protoc."""
    protos = [str(path) for path in sorted((root / "automot" / "v1").glob("*.proto"))]
    outputs = [f"--python_out={target}", f"--pyi_out={target}"]
    try:
        import grpc_tools
        from grpc_tools import protoc
    except ImportError:
        plugin = shutil.which("grpc_python_plugin")
        if plugin is None:
            raise RuntimeError(
                "neither grpcio-tools nor protoc's grpc_python_plugin found"
            ) from None
        outputs += [f"--plugin=protoc-gen-grpc={plugin}", f"--grpc_out={target}"]
        subprocess.run(["protoc", f"-I{root}", *outputs, *protos], check=True)
        return
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    includes = [f"-I{root}", f"-I{well_known}", f"--grpc_python_out={target}"]
    if protoc.main(["protoc", *includes, *outputs, *protos]) != 0:
        raise RuntimeError(f"protoc failed on {root}")


def generate(target: Path) -> None:
    """Writes *_pb2.py, *_pb2.pyi and *_pb2_grpc.py under target, importable as a part of PACKAGE."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    compile_protos(proto_root(), target)
    for folder in (target, target / "automot", target / "automot" / "v1"):
        (folder / "__init__.py").write_text('"""Generated from proto/."""\n')
    for path in target.rglob("*_pb2*.py*"):
        text = path.read_text()
        path.write_text(
            re.sub(r"^from automot\.v1", f"from {PACKAGE}.automot.v1", text, flags=re.M)
        )


class BuildWithStubs(build_py):
    """build_py that adds the generated stubs to the built package (or, if editable, to the tree)."""

    def run(self) -> None:
        super().run()
        base = HERE if self.editable_mode else Path(self.build_lib)
        generate(base.joinpath(*PACKAGE.split(".")))


class SdistWithProtos(sdist):
    """sdist that carries the protos, so that it can be built away from the repository."""

    def make_release_tree(self, base_dir, files) -> None:
        super().make_release_tree(base_dir, files)
        shutil.copytree(
            proto_root() / "automot", Path(base_dir) / "proto" / "automot", dirs_exist_ok=True
        )


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildWithStubs, "sdist": SdistWithProtos})

"""`kubectl wardround dataset check` in a folder, with a Dataset and its DataSchema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.pod import world
from wardround.kubectl import main

Object = dict[str, Any]


def dataset(**spec: Any) -> Object:
    described = {"claimName": "data", "schemaName": "breast-v1", **world.DATASET}
    return {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "Dataset",
        "metadata": {"name": "breast"},
        "spec": {**described, **spec},
    }


def data_schema(*more: Object, **fields: Object) -> Object:
    """The DataSchema with further fields, and with changes of its `fields` by name."""
    listed = [{**each, **fields.get(each["name"], {})} for each in world.SCHEMA["fields"]]
    spec = {**world.SCHEMA, "fields": [*listed, *more]}
    return {"kind": "DataSchema", "metadata": {"name": "breast-v1"}, "spec": spec}


class Laptop:
    """The command in a folder, without a kubeconfig."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.manifest, self.file, self._capsys = folder / "dataset.yaml", folder / "cases.csv", capsys

    def check(
        self,
        item: Object,
        lines: Sequence[str] | None = None,
        *options: str,
        header: str = world.HEADER,
        schema: Object | None = None,
    ) -> tuple[int, str]:
        text = "\n".join([header, *(world.rows() if lines is None else lines)]) + "\n"
        return self.check_bytes(item, text.encode(), *options, schema=schema)

    def check_bytes(self, item: Object, content: bytes, *options: str, schema: Object | None = None) -> tuple[int, str]:
        self.manifest.write_text(yaml.safe_dump_all([schema or data_schema(), item]), "utf-8")
        self.file.write_bytes(content)
        return self.run(str(self.manifest), str(self.file), *options)

    def run(self, *arguments: str) -> tuple[int, str]:
        code = main(["dataset", "check", *arguments])
        output = self._capsys.readouterr()
        return code, output.out + output.err

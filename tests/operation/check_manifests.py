"""Reads the manifests with Kubernetes's schemas: `python tests/operation/check_manifests.py`.

Needs kubernetes-validate (tests/operation/manifests.txt). Exits 1 where a field is not known, is
missing or of another type, in the oldest version that the manifests are for or in the newest that
the schemas are there of. It is no cluster: whether one admits and runs them, it does not know.
"""

import sys
from pathlib import Path

import kubernetes_validate
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "systemd" / "containers"
VERSIONS = ("1.29", kubernetes_validate.latest_version())

wrong = 0
for path in sorted({*FOLDER.glob("*.yaml")} - {FOLDER / "compose.yaml"}):
    for document in yaml.safe_load_all(path.read_text("utf-8")):
        name = f"{path.name}: {document['kind']} {document['metadata']['name']}"
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except (
                kubernetes_validate.ValidationError,
                kubernetes_validate.SchemaNotFoundError,
            ) as error:
                wrong += 1
                print(f"{name}, Kubernetes {version}: {error}")  # noqa: T201
            else:
                print(f"{name}: good for Kubernetes {version}")  # noqa: T201
sys.exit(wrong > 0)

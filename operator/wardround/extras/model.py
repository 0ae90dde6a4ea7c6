"""The verb model: gets a model out of the hub, or brings pretrained weights into it."""

import argparse
from pathlib import Path

from wardround.cli.arguments import Parsers, add_timeout, target
from wardround.cli.cluster import Cluster
from wardround.extras import model_pull, model_push


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    about_models = parsers.add_parser("model", help="get a model out of the hub, or bring one into it")
    model_verbs = about_models.add_subparsers(required=True, metavar="VERB")
    pulling = model_verbs.add_parser(
        "pull",
        parents=[shared],
        help="write a model and its card into a folder",
        description="Asks the hub for a model, verifies the hub's answer, and writes model.safetensors and card.json "
        "into a new folder, and warnings.txt if the gate did not accept the model. The command makes a new key for "
        "the answer, so nobody else can read the answer. You need the role wardround-model-reader, and all rounds "
        "that made the model need `release: Readers`.",
    )
    pulling.add_argument(
        "target",
        metavar="federatedround/NAME",
        help="the round that made the model. Or modelversion/NAME, or federatedmodel/NAME[@VERSION]",
    )
    pulling.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="the folder that the command makes"
    )
    pulling.add_argument(
        "--hub-fingerprint",
        required=True,
        metavar="sha256:..",
        help="the fingerprint of the hub's key. Ask the hub's administrator for it. The command refuses a model that "
        "another hub signed",
    )
    add_timeout(pulling, 60.0, "the hub's answer")
    pulling.set_defaults(run=run_model_pull)
    pushing = model_verbs.add_parser(
        "push",
        parents=[shared],
        help="bring pretrained weights into the hub as a ModelVersion",
        description="Seals FOLDER/model.safetensors with a new key, uploads the sealed file, and waits until the hub "
        "has checked the file and signed a ModelVersion. Then a FederatedModel can start from these "
        "weights: name the ModelVersion in initial.pushed. You need the role wardround-model-writer. "
        "Hospitals see your user name. A hospital takes part in rounds that start from the weights only "
        "if policy.pushedModels of its Site is true.",
    )
    pushing.add_argument("folder", type=Path, metavar="FOLDER", help="the folder with model.safetensors")
    pushing.add_argument("--name", required=True, help="the name of the ModelVersion, which must be new")
    pushing.add_argument(
        "--schema", required=True, metavar="DATASCHEMA", help="the DataSchema whose features the model reads"
    )
    pushing.add_argument(
        "--hub-fingerprint",
        required=True,
        metavar="sha256:..",
        help="the fingerprint of the hub's key. Ask the hub's administrator for it. The command uploads nothing to "
        "another hub",
    )
    add_timeout(pushing, 600.0, "each of two answers of the hub")
    pushing.set_defaults(run=run_model_push)


def run_model_pull(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or hub.default_namespace
    lines = model_pull.pull(hub, kind, name, namespace, options.output, options.hub_fingerprint, options.timeout)
    print("\n".join(lines))
    return 0


def run_model_push(hub: Cluster, options: argparse.Namespace) -> int:
    namespace = options.namespace or hub.default_namespace
    asked = model_push.Wanted(options.name, namespace, options.schema, options.hub_fingerprint, options.timeout)
    print("\n".join(model_push.push(hub, options.folder, asked)))
    return 0

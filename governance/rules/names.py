"""Where files lie and what they are called, so that each is found without a search."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from governance.manifest import LAYERS, Manifest, Node, domain_of, label, layer_of, models, nodes
from governance.rules.rule import Finding, Rule

_PREFIXES = {
    "staging": ("stg_",),
    "intermediate": ("int_",),
    "marts": ("dim_", "fct_", "rpt_"),
}
# Longer names are cut by Postgres, and two of them may become one.
_LONGEST_NAME = 63


def model_lies_in_a_layer_and_domain(manifest: Manifest) -> Iterator[Finding]:
    """Models lie in models/<layer>/<domain>/."""
    for model in models(manifest):
        if layer_of(model) not in LAYERS or not domain_of(model):
            yield Finding(label(model), f"lies in {model['original_file_path']}")


def model_is_named_by_its_layer(manifest: Manifest) -> Iterator[Finding]:
    """stg_ in staging, int_ in intermediate, dim_, fct_ or rpt_ in marts."""
    for model in models(manifest):
        prefixes = _PREFIXES.get(layer_of(model), ())
        if not model["name"].startswith(prefixes):
            yield Finding(label(model), f"lies in {layer_of(model)}, so it is named {prefixes}")


def model_lies_in_the_domain_of_its_group(manifest: Manifest) -> Iterator[Finding]:
    """The folder below the layer is the group that owns the model."""
    for model in models(manifest):
        if model["group"] != domain_of(model):
            yield Finding(label(model), f"in folder {domain_of(model)}, group {model['group']}")


def model_is_described_beside_its_file(manifest: Manifest) -> Iterator[Finding]:
    """A model is described in _<domain>__models.yml in its own folder."""
    for model in models(manifest):
        expected = _beside(model, "models")
        if (found := _file(model["patch_path"])) != expected:
            yield Finding(label(model), f"is described in {found}, not in {expected}")


def source_is_described_in_its_domain(manifest: Manifest) -> Iterator[Finding]:
    """A source is described in models/staging/<domain>/_<domain>__sources.yml."""
    for source in manifest["sources"].values():
        expected = _beside(source, "sources")
        if source["original_file_path"] != expected or layer_of(source) != "staging":
            yield Finding(label(source), f"is described in {source['original_file_path']}")


def unit_test_lies_beside_its_model(manifest: Manifest) -> Iterator[Finding]:
    """A unit test stands in _<domain>__unit_tests.yml in the folder of its model."""
    homes = {model["name"]: _beside(model, "unit_tests") for model in models(manifest)}
    for test in manifest["unit_tests"].values():
        if test["original_file_path"] != homes[test["model"]]:
            yield Finding(test["name"], f"stands in {test['original_file_path']}")


def name_fits_postgres(manifest: Manifest) -> Iterator[Finding]:
    """Relations and tests have names of at most 63 characters."""
    for node in nodes(manifest, "model", "seed", "snapshot", "test"):
        if len(node["alias"]) > _LONGEST_NAME:
            yield Finding(label(node), f"has a name of {len(node['alias'])} characters")


def singular_test_says_a_fact(manifest: Manifest) -> Iterator[Finding]:
    """Tests that are files are named assert_<fact>."""
    for test in nodes(manifest, "test"):
        if not test.get("test_metadata") and not test["name"].startswith("assert_"):
            yield Finding(label(test), "is not named assert_...")


def _file(patch_path: str | None) -> str:
    return (patch_path or "no file").split("://")[-1]


def _beside(node: Node, what: str) -> str:
    folder = PurePosixPath(node["original_file_path"]).parent
    return str(folder / f"_{folder.name}__{what}.yml")


RULES: tuple[Rule, ...] = (
    model_lies_in_a_layer_and_domain,
    model_is_named_by_its_layer,
    model_lies_in_the_domain_of_its_group,
    model_is_described_beside_its_file,
    source_is_described_in_its_domain,
    unit_test_lies_beside_its_model,
    name_fits_postgres,
    singular_test_says_a_fact,
)

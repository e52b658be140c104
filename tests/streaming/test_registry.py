"""Contracts in use: of the package, and registered while everything runs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError
from streaming import progress, registry
from streaming.contract import Contract, load_contracts, read_contract_text
from streaming.operating import halts
from streaming.progress import PartitionKey

WHERE = Path("given.odcs.yaml")


def document(**changes: str) -> str:
    """The contract file of the refunds, as another stream with some texts replaced."""
    text = next(c for c in load_contracts() if c.stream == "refunds").file.read_text()
    for old, new in {
        "name: refunds\n": "name: returns\n",
        "name: refunds_raw": "name: returns_raw",
        "value: refunds\n": "value: returns\n",
        **changes,
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


NOTE = """
      - name: note
        logicalType: string
        physicalType: text
        description: What the customer said.
        examples: [too small]
slaProperties:"""
WITH_NOTE = {"version: 1.0.0": "version: 1.1.0", "\nslaProperties:": NOTE}


def register(connection: Connection, text: str) -> registry.Registration:
    return registry.register(connection, read_contract_text(text, WHERE), text)


@pytest.fixture
def opened(database: DatabaseEndpoint, contracts: list[Contract]) -> DatabaseEndpoint:
    registry.open_registry(database, contracts)
    return database


def test_contracts_of_the_package_are_in_use_as_they_are(
    database: DatabaseEndpoint, contracts: list[Contract], ask
) -> None:
    assert registry.open_registry(database, contracts) == contracts
    assert registry.open_registry(database, contracts) == contracts
    assert ask("select stream, origin from streaming.streams order by 1") == [
        (each.stream, "file") for each in contracts
    ]


def test_many_processes_can_open_the_registry_at_once(
    database: DatabaseEndpoint, contracts: list[Contract], ask
) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: registry.open_registry(database, contracts), range(16)):
            pass
    assert ask("select count(*), count(distinct revision) from streaming.streams") == [
        (len(contracts), len(contracts))
    ]


def test_registered_stream_has_its_table_and_is_in_use_at_once(
    opened: DatabaseEndpoint, contracts: list[Contract], ask
) -> None:
    with connect(opened) as connection:
        before = registry.registry_revision(connection)
        made = register(connection, document())
    assert (made.is_new, made.version) == (True, "1.0.0")
    with connect(opened) as connection:
        assert registry.registry_revision(connection) == made.revision > before
        active = registry.active_contracts(connection, contracts)
    assert active[:-1] == contracts
    assert (active[-1].stream, active[-1].table) == ("returns", "returns_raw")
    assert str(active[-1].file) == "streaming.streams/returns"
    assert ask("select count(*) from streaming.returns_raw") == [(0,)]
    assert ask("select origin, paused from streaming.streams where stream = 'returns'") == [
        ("registered", False)
    ]


def test_same_contract_again_changes_nothing(opened: DatabaseEndpoint) -> None:
    with connect(opened) as connection:
        first = register(connection, document())
        again = register(connection, document())
    assert (again.revision, again.is_unchanged) == (first.revision, True)


def test_new_optional_field_becomes_a_column(
    opened: DatabaseEndpoint, contracts: list[Contract], ask
) -> None:
    with connect(opened) as connection:
        register(connection, document())
        made = register(connection, document(**WITH_NOTE))
        active = registry.active_contracts(connection, contracts)
    assert (made.previous, [str(each) for each in made.changes]) == ("1.0.0", ["note is new"])
    assert active[-1].version == "1.1.0"
    assert ask("select note from streaming.returns_raw") == []


def test_field_that_becomes_optional_takes_null(opened: DatabaseEndpoint, ask) -> None:
    reason = "- name: reason\n        logicalType: string\n        physicalType: text\n"
    required = reason + "        required: true"
    optional = reason + "        required: false"
    with connect(opened) as connection:
        register(connection, document())
        register(connection, document(**{"version: 1.0.0": "version: 1.1.0", required: optional}))
    assert ask(
        """select attnotnull from pg_attribute
           where attrelid = 'streaming.returns_raw'::regclass and attname = 'reason'"""
    ) == [(False,)]


def test_incompatible_change_leaves_everything_as_it_was(opened: DatabaseEndpoint, ask) -> None:
    with connect(opened) as connection:
        register(connection, document())
    before = ask("select * from streaming.streams order by stream")
    with (
        pytest.raises(InputError, match="refund_amount changes its type"),
        connect(opened) as connection,
    ):
        register(
            connection,
            document(
                **{
                    "version: 1.0.0": "version: 2.0.0",
                    "logicalType: number": "logicalType: integer",
                    "physicalType: numeric": "physicalType: bigint",
                }
            ),
        )
    assert ask("select * from streaming.streams order by stream") == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"value: returns\n": "value: taken-topic\n"}, "topic 'taken-topic' is taken by stream"),
        ({"name: returns_raw": "name: refunds_raw"}, "table 'refunds_raw' is taken by stream"),
        ({"name: returns_raw": "name: load_ledger"}, "streaming.load_ledger exists"),
        ({"name: returns_raw": "name: stream_status"}, "streaming.stream_status exists"),
    ],
)
def test_topic_and_table_belong_to_one_stream(
    opened: DatabaseEndpoint, contracts: list[Contract], change: dict[str, str], told: str
) -> None:
    refunds = next(each for each in contracts if each.stream == "refunds")
    text = document()
    for old, new in change.items():
        text = text.replace(old, new.replace("taken-topic", refunds.topic))
    with (
        pytest.raises(InputError, match=told.replace("taken-topic", refunds.topic)),
        connect(opened) as connection,
    ):
        register(connection, text)


def test_higher_version_counts_whoever_has_it(
    opened: DatabaseEndpoint, contracts: list[Contract], tmp_path: Path
) -> None:
    """A package can be older than the registry, and later newer again."""
    with connect(opened) as connection:
        register(connection, document())
        register(connection, document(**WITH_NOTE))

    def of_package(version: str) -> list[Contract]:
        file = tmp_path / f"{version}.odcs.yaml"
        file.write_text(document(**{**WITH_NOTE, "version: 1.0.0": f"version: {version}"}))
        return [read_contract_text(file.read_text(), file)]

    older = tmp_path / "older.odcs.yaml"
    older.write_text(document())
    assert registry.open_registry(opened, [read_contract_text(document(), older)])[0].version == (
        "1.1.0"
    )
    assert registry.open_registry(opened, of_package("1.2.0"))[0].version == "1.2.0"
    assert registry.open_registry(opened, of_package("1.1.0"))[0].version == "1.2.0"


def test_contract_of_the_package_changed_without_a_new_version_is_refused(
    opened: DatabaseEndpoint, contracts: list[Contract]
) -> None:
    changed = replace(contracts[0], freshness_seconds=1)
    with pytest.raises(InputError, match=r"Raise the version to 1\.0\.1"):
        registry.open_registry(opened, [changed])


def test_stream_whose_file_is_gone_is_not_in_use(
    opened: DatabaseEndpoint, contracts: list[Contract]
) -> None:
    with connect(opened) as connection:
        assert registry.active_contracts(connection, contracts[1:]) == contracts[1:]


def test_long_query_on_the_table_does_not_hang_the_registration(
    opened: DatabaseEndpoint,
) -> None:
    with connect(opened) as connection:
        register(connection, document())
    with connect(opened) as reader:
        reader.execute("select count(*) from streaming.returns_raw")
        with (
            pytest.raises(Exception, match="is in use by a long query"),
            connect(opened) as connection,
        ):
            register(connection, document(**WITH_NOTE))


def _halt(connection: Connection, contract: Contract, state: str) -> None:
    partition = PartitionKey("cluster", contract.topic, 0)
    progress.claim(connection, contract.stream, partition, "owner", 0, 0)
    progress.halt(connection, partition, state, "because")


def test_pause_and_resume_show_in_the_revision(opened: DatabaseEndpoint, prices: Contract) -> None:
    revisions = []
    with connect(opened, autocommit=True) as connection:

        def look(change: Callable[[Connection, str], bool]) -> bool:
            changed = change(connection, prices.stream)
            revisions.append(registry.registry_revision(connection))
            return changed

        assert look(halts.pause)
        assert registry.paused_streams(connection) == {prices.stream}
        assert not look(halts.pause)
        assert look(halts.resume)
        assert registry.paused_streams(connection) == set()
        assert not look(halts.resume)
    assert revisions[0] == revisions[1] < revisions[2] == revisions[3]


def test_resume_lifts_a_limit_halt(opened: DatabaseEndpoint, prices: Contract, ask) -> None:
    with connect(opened) as connection:
        _halt(connection, prices, progress.HALTED_LIMIT)
        before = registry.registry_revision(connection)
        assert halts.resume(connection, prices.stream)
        assert registry.registry_revision(connection) > before
        assert progress.halted(connection, prices.stream, "cluster") is None


@pytest.mark.parametrize("state", [progress.HALTED_GAP, progress.HALTED_RECREATED])
def test_resume_says_that_a_gap_has_to_be_accepted(
    opened: DatabaseEndpoint, prices: Contract, state: str
) -> None:
    with connect(opened) as connection:
        _halt(connection, prices, state)
        with pytest.raises(InputError, match="insight streams accept-gap bitcoin-prices"):
            halts.resume(connection, prices.stream)


def test_unknown_stream_is_told_with_the_known_ones(opened: DatabaseEndpoint) -> None:
    with (
        connect(opened) as connection,
        pytest.raises(InputError, match=r"no stream 'price'\. Known are account-transactions, "),
    ):
        halts.pause(connection, "price")


def test_revision_of_an_earlier_change_never_commits_after_a_later_one(
    opened: DatabaseEndpoint, contracts: list[Contract]
) -> None:
    """Else a loader that has seen the later one would not look again."""
    with connect(opened) as first:
        halts.pause(first, contracts[0].stream)
        with ThreadPoolExecutor(1) as pool:

            def second() -> int:
                with connect(opened) as connection:
                    halts.pause(connection, contracts[1].stream)
                    return registry.registry_revision(connection)

            later = pool.submit(second)
            earlier = registry.registry_revision(first)
            first.commit()
            assert later.result(10) > earlier

"""Which rules are asked in one query, because most of what they measure is the same."""

from collections.abc import Iterable, Iterator, Sequence

from segmentation.queries.together import Together, compile_together, parts
from segmentation.rules.catalogue import Catalogue
from segmentation.runtime.pipelines import Pipeline

# Streams that move at different times give different sets of rules; more than a few are rare.
_MOST_COMPILED = 16


class Sharing:
    """Queries of many pipelines of one configuration, compiled once for those asked together."""

    def __init__(self, catalogue: Catalogue):
        self._catalogue = catalogue
        self._compiled: dict[tuple[str, ...], Together] = {}

    def together(
        self, pipelines: Iterable[Pipeline]
    ) -> Iterator[tuple[Sequence[Pipeline], Together]]:
        """Pipelines that are asked in one query, and it, until all are."""
        known = {each.segment: each for each in pipelines}
        for part in parts(each.plan for each in known.values()):
            names = tuple(plan.rule.name for plan in part)
            if names not in self._compiled:
                if len(self._compiled) >= _MOST_COMPILED:
                    self._compiled.clear()
                self._compiled[names] = compile_together(part, self._catalogue)
            yield [known[each] for each in names], self._compiled[names]


def can_share(pipeline: Pipeline) -> bool:
    """Whether it may be asked together with others.

    One that measures nothing gains nothing; one that reads segments has to be asked after them.
    """
    return bool(pipeline.plan.scans) and not pipeline.reads

"""What stands out, from several areas at once."""

from pydantic import Field

from serving.api.models.customers import SegmentSummary
from serving.api.models.parts import Answer, example, example_of
from serving.api.models.retail import Anomaly, Association


class Insights(Answer):
    """A first look: the newest anomalies, the strongest associations, the segments."""

    model_config = example(
        anomalies=[example_of(Anomaly)],
        associations=[example_of(Association)],
        segments=[example_of(SegmentSummary)],
    )

    anomalies: list[Anomaly] = Field(description="The five newest unusual minutes of revenue.")
    associations: list[Association] = Field(
        description="The five of highest lift among those of at least five baskets."
    )
    segments: list[SegmentSummary] = Field(description="By revenue, highest first.")

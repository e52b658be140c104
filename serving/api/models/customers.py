"""Customers: segments, RFM, lifetime value."""

from pydantic import Field

from serving.api.models.parts import (
    Answer,
    Count,
    CustomerId,
    Day,
    Moment,
    Money,
    Number,
    Score,
    SegmentId,
    SegmentName,
    Share,
    Text,
    example,
    example_of,
)

_ID = "17850"


class CustomerSegment(Answer):
    """The segment that machine learning gave one customer."""

    model_config = example(
        customer_id=_ID,
        segment_id=3,
        segment_name="Champions (VIPs)",
        updated_at="2026-03-01T06:00:00+00:00",
    )

    customer_id: str = Field(description="The customer.")
    segment_id: SegmentId
    segment_name: SegmentName
    updated_at: Moment


class Customer(Answer):
    """One customer of the web shop with segment and purchases."""

    model_config = example(
        customer_id=_ID,
        location="Chicago",
        gender="M",
        customer_tenure_months=12,
        segment_id=3,
        segment_name="Champions (VIPs)",
        total_orders=34,
        total_revenue="5391.21",
        first_purchase_date="2019-01-01",
        last_purchase_date="2019-12-09",
        days_since_last_purchase=23,
        avg_order_value="158.57",
        activity_status="Active",
        updated_at="2026-03-01T06:00:00Z",
    )

    customer_id: CustomerId
    location: Text
    gender: str | None = Field(description="As in the customers file.")
    customer_tenure_months: int = Field(description="Months since the customer joined.")
    segment_id: SegmentId
    segment_name: SegmentName
    total_orders: Count
    total_revenue: Money
    first_purchase_date: Day | None
    last_purchase_date: Day | None
    days_since_last_purchase: int | None = Field(description="To the as-of date; null: none.")
    avg_order_value: Money | None
    activity_status: str = Field(description="Active, Recent, Dormant or Inactive.")
    updated_at: Moment


class RfmScores(Answer):
    """Recency, frequency and money of a customer, scored from 1 to 5."""

    model_config = example(
        customer_id=_ID,
        as_of_date="2020-01-01",
        recency_days=23,
        frequency=34,
        monetary="5391.21",
        avg_order_value="158.57",
        r_score=5,
        f_score=5,
        m_score=5,
        rfm_segment="Champions",
    )

    customer_id: CustomerId
    as_of_date: Day
    recency_days: int = Field(description="Days from the last purchase to the as-of date.")
    frequency: Count
    monetary: Money
    avg_order_value: Money
    r_score: Score
    f_score: Score
    m_score: Score
    rfm_segment: str = Field(description="Name of the cell of the three scores.")


class TillRfmScores(RfmScores):
    """The same for a customer of the tills, with the cluster of clustering them."""

    model_config = example(
        **{
            **example_of(RfmScores),
            "customer_id": "C00042",
            "cluster_id": 2,
        }
    )

    cluster_id: int = Field(description="The cluster; -1: none.")


class LifetimeValue(Answer):
    """What a customer is expected to buy in the horizon."""

    model_config = example(
        customer_id=_ID,
        model="mbg_nbd",
        as_of_date="2020-01-01",
        horizon_days=90,
        frequency=33,
        recency_days=342,
        age_days=365,
        mean_order_value="158.57",
        expected_purchases="7.812340",
        probability_alive="0.981200",
        probability_of_purchase="0.973100",
        expected_order_value="157.90",
        expected_value="1233.57",
    )

    customer_id: CustomerId
    model: str = Field(description="The model of purchases.")
    as_of_date: Day
    horizon_days: int = Field(description="How far ahead the forecast looks.")
    frequency: Count
    recency_days: int = Field(description="Days from the first to the last purchase.")
    age_days: int = Field(description="Days from the first purchase to the as-of date.")
    mean_order_value: Money | None
    expected_purchases: Number
    probability_alive: Share
    probability_of_purchase: Share
    expected_order_value: Money | None
    expected_value: Money | None


class CustomerProfile(Customer):
    """Everything of one customer."""

    model_config = example(
        **{
            **example_of(Customer),
            "rfm": example_of(RfmScores),
            "lifetime_value": None,
        }
    )

    rfm: RfmScores | None = Field(description="Null without an order before the as-of date.")
    lifetime_value: LifetimeValue | None = Field(description="Null without such an order, too.")


class SegmentSummary(Answer):
    """One segment of the last run, and who is in it."""

    model_config = example(
        segment_id=3,
        segment_name="Champions (VIPs)",
        customers=212,
        customer_share="0.1444",
        total_orders=8_120,
        total_revenue="1804321.10",
        revenue_share="0.3863",
        updated_at="2026-03-01T06:00:00Z",
    )

    segment_id: SegmentId
    segment_name: SegmentName
    customers: Count
    customer_share: Share
    total_orders: Count
    total_revenue: Money
    revenue_share: Share | None = Field(description="Null when nobody has bought anything.")
    updated_at: Moment


class SegmentSummaries(Answer):
    """All segments of the last run."""

    items: list[SegmentSummary] = Field(description="By segment id.")


class SegmentOverlap(Answer):
    """A segment of machine learning and one of RFM scores: how far they are the same customers."""

    model_config = example(
        segment_name="Champions (VIPs)",
        rfm_segment="Champions",
        segment_customers=212,
        rfm_customers=190,
        shared_customers=171,
        jaccard="0.7403",
        segment_share="0.8066",
        rfm_share="0.9000",
    )

    segment_name: SegmentName
    rfm_segment: str = Field(description="Name of the cell of the three scores.")
    segment_customers: int = Field(description="Customers of the segment.")
    rfm_customers: int = Field(description="Customers of the cell.")
    shared_customers: int = Field(description="Customers of both; pairs without any are left out.")
    jaccard: Share = Field(description="Shared customers, of those in either.")
    segment_share: Share = Field(description="Shared customers, of the segment's.")
    rfm_share: Share = Field(description="Shared customers, of the cell's.")


class SegmentOverlaps(Answer):
    """All pairs that share customers."""

    items: list[SegmentOverlap] = Field(description="By segment, then by cell.")


class SegmentationRun(Answer):
    """One run of the segmentation: how good its clusters are, and whether they are in use."""

    model_config = example(
        run_id="5f1c",
        run_number=4,
        outcome="trained",
        reason=None,
        customer_count=1_468,
        cluster_count=5,
        silhouette="0.351200",
        stability_mean="0.962000",
        smallest_cluster_share="0.090000",
        highest_psi="0.020000",
        moved_share="0.014000",
        is_in_use=True,
        as_of_date="2020-01-01",
        recorded_at="2026-03-01T06:00:00Z",
    )

    run_id: str = Field(description="The run.")
    run_number: int = Field(description="Counts up from 1.")
    outcome: str = Field(description="What became of it.")
    reason: str | None = Field(description="Why it stopped.")
    customer_count: Count
    cluster_count: Count
    silhouette: Number | None
    stability_mean: Number | None
    smallest_cluster_share: Share | None
    highest_psi: Number | None
    moved_share: Share | None
    is_in_use: bool = Field(description="Whether its labels are the ones served.")
    as_of_date: Day
    recorded_at: Moment

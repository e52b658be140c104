with

web_customers as (

    select * from {{ ref('fct_customer_rfm') }}

),

pos_customers as (

    select * from {{ ref('int_pos_customer_rfm') }}

),

scored as (

    select
        'ecommerce' as domain,
        as_of_date,
        recency_days,
        frequency,
        monetary,
        r_score,
        f_score,
        m_score
    from web_customers

    union all

    select
        'retail' as domain,
        as_of_date,
        recency_days,
        frequency,
        monetary,
        r_score,
        f_score,
        m_score
    from pos_customers

),

-- Every score of every measure, also one that ties left empty.
scores as (

    select
        domains.domain,
        measures.measure,
        score_series.score
    from (values ('ecommerce'), ('retail')) as domains (domain)
    cross join (values ('recency_days'), ('frequency'), ('monetary')) as measures (measure)
    cross join generate_series(1, 5) as score_series (score)

),

measured as (

    select
        scored.domain,
        scored.as_of_date,
        measures.measure,
        measures.score,
        measures.value,
        measures.is_better_when_lower
    from scored
    cross join lateral (
        values
        ('recency_days', scored.r_score, cast(scored.recency_days as numeric), true),
        ('frequency', scored.f_score, cast(scored.frequency as numeric), false),
        ('monetary', scored.m_score, scored.monetary, false)
    ) as measures (measure, score, value, is_better_when_lower)

),

ranges as (

    select
        domain,
        measure,
        score,
        max(as_of_date) as as_of_date,
        case when is_better_when_lower then max(value) else min(value) end as weakest_value,
        case when is_better_when_lower then min(value) else max(value) end as best_value,
        count(*) as customers
    from measured
    group by domain, measure, score, is_better_when_lower

),

final as (

    select
        -- ids
        scores.domain,
        scores.measure,
        scores.score,

        -- times
        ranges.as_of_date,

        -- numbers
        cast(ranges.weakest_value as numeric(22, 2)) as weakest_value,
        cast(ranges.best_value as numeric(22, 2)) as best_value,
        coalesce(ranges.customers, 0) as customers
    from scores
    left join ranges
        on
            scores.domain = ranges.domain
            and scores.measure = ranges.measure
            and scores.score = ranges.score

)

select * from final

with

movements as (

    select * from {{ ref('fct_segment_movements') }}

),

memberships as (

    select * from {{ ref('customer_segment_snapshot') }}

),

runs as (

    select distinct moved_at as run_at
    from movements

),

segments as (

    select distinct on (segment_id)
        segment_id,
        segment_name
    from memberships
    order by segment_id asc, dbt_valid_from desc

),

arrivals as (

    select
        moved_at as run_at,
        to_segment_id as segment_id,
        count(*) filter (where movement_kind = 'entered') as entered_customers,
        count(*) filter (where movement_kind = 'moved') as moved_in_customers
    from movements
    group by moved_at, to_segment_id

),

departures as (

    select
        moved_at as run_at,
        from_segment_id as segment_id,
        count(*) filter (where movement_kind = 'moved') as moved_out_customers,
        count(*) filter (where movement_kind = 'left') as left_customers
    from movements
    group by moved_at, from_segment_id

),

-- Every segment at every run, also where nobody moved: no balance is missing from a chart.
flows as (

    select
        runs.run_at,
        segments.segment_id,
        segments.segment_name,
        coalesce(arrivals.entered_customers, 0) as entered_customers,
        coalesce(arrivals.moved_in_customers, 0) as moved_in_customers,
        coalesce(departures.moved_out_customers, 0) as moved_out_customers,
        coalesce(departures.left_customers, 0) as left_customers
    from runs
    cross join segments
    left join arrivals
        on runs.run_at = arrivals.run_at and segments.segment_id = arrivals.segment_id
    left join departures
        on runs.run_at = departures.run_at and segments.segment_id = departures.segment_id

),

closed as (

    select
        *,
        sum(entered_customers + moved_in_customers - moved_out_customers - left_customers) over (
            partition by segment_id order by run_at
        ) as closing_customers
    from flows

),

final as (

    select
        -- ids
        segment_id,

        -- times
        run_at,

        -- text
        segment_name,

        -- numbers
        cast(
            lag(closing_customers, 1, 0) over (partition by segment_id order by run_at) as integer
        ) as opening_customers,
        cast(entered_customers as integer) as entered_customers,
        cast(moved_in_customers as integer) as moved_in_customers,
        cast(moved_out_customers as integer) as moved_out_customers,
        cast(left_customers as integer) as left_customers,
        cast(closing_customers as integer) as closing_customers
    from closed

)

select * from final

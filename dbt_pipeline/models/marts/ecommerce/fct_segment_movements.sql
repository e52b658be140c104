with

memberships as (

    select * from {{ ref('customer_segment_snapshot') }}

),

neighbours as (

    select
        customer_id,
        segment_id,
        segment_name,
        dbt_valid_from as started_at,
        dbt_valid_to as ended_at,
        lag(segment_id) over one_customer as previous_segment_id,
        lag(segment_name) over one_customer as previous_segment_name,
        lag(dbt_valid_to) over one_customer as previous_ended_at,
        lead(dbt_valid_from) over one_customer as next_started_at
    from memberships
    window one_customer as (partition by customer_id order by dbt_valid_from)

),

-- Who is gone at one run and back at a later one left and entered; there is time between.
entered as (

    select
        customer_id,
        started_at as moved_at,
        'entered' as movement_kind,
        -2 as from_segment_id,
        'Not a customer' as from_segment_name,
        segment_id as to_segment_id,
        segment_name as to_segment_name
    from neighbours
    where previous_ended_at is distinct from started_at

),

-- A segment that only got another name moved nobody.
moved as (

    select
        customer_id,
        started_at as moved_at,
        'moved' as movement_kind,
        previous_segment_id as from_segment_id,
        previous_segment_name as from_segment_name,
        segment_id as to_segment_id,
        segment_name as to_segment_name
    from neighbours
    where previous_ended_at = started_at and previous_segment_id <> segment_id

),

-- The version that is the customer's last and still holds has neither an end nor a next one.
departed as (

    select
        customer_id,
        ended_at as moved_at,
        'left' as movement_kind,
        segment_id as from_segment_id,
        segment_name as from_segment_name,
        -2 as to_segment_id,
        'Not a customer' as to_segment_name
    from neighbours
    where next_started_at is distinct from ended_at

),

changes as (

    select * from entered

    union all

    select * from moved

    union all

    select * from departed

),

final as (

    select
        -- ids
        customer_id,
        from_segment_id,
        to_segment_id,

        -- times
        moved_at,

        -- text
        movement_kind,
        from_segment_name,
        to_segment_name
    from changes

)

select * from final

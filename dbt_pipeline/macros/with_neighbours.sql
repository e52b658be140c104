{% macro with_neighbours(rows, raw_table, series) -%}
    {{ return(adapter.dispatch('with_neighbours')(rows, raw_table, series)) }}
{%- endmacro %}

{#- A place is where a row lies now or was published. Its published neighbours are looked up by the
    model's index on series, event_timestamp and id. A neighbour that is itself among the rows has
    places of its own, from which the search goes on; of its two versions the first landed counts. -#}
{% macro postgres__with_neighbours(rows, raw_table, series) -%}
    {%- if not reads_new_rows_only() -%}
    select *, true as is_rebuilt from {{ rows }}
    {%- else -%}
    {%- set place = series + ['event_timestamp', 'id'] -%}
    with

    raw_rows as not materialized (

        select * from {{ raw_table }}

    ),

    published as not materialized (

        select * from {{ this }}

    ),

    places as (

        select {{ place | join(', ') }} from {{ rows }}

        union

        select standing.{{ place | join(', standing.') }}
        from {{ rows }}
        cross join {{ lookup('published', rows, ['id']) }} as standing

    ),

    candidates as (

        select *, true as is_rebuilt from {{ rows }}
        {%- for side, direction, is_rebuilt in [('>', 'asc', 'true'), ('<', 'desc', 'false')] %}

        union all

        select raw_neighbour.*, {{ is_rebuilt }} as is_rebuilt
        from places
        cross join lateral (
            select *
            from published
            where
                {%- for column in series %}
                published.{{ column }} = places.{{ column }} and
                {%- endfor %}
                (published.event_timestamp, published.id)
                {{ side }} (places.event_timestamp, places.id)
            order by published.event_timestamp {{ direction }}, published.id {{ direction }}
            limit 1
        ) as neighbour
        cross join {{ lookup('raw_rows', 'neighbour') }} as raw_neighbour
        {%- endfor %}

    )

    select distinct on (id) *
    from candidates
    order by id, {{ landing_order() }}, is_rebuilt desc
    {%- endif %}
{%- endmacro %}

{% macro with_neighbours(rows, raw_table, series, key='id') -%}
    {{ return(adapter.dispatch('with_neighbours')(rows, raw_table, series, key)) }}
{%- endmacro %}

{#- A place is where a row lies now or was published. Its published neighbours are looked up by the
    model's index on series, event_timestamp and key. A neighbour that is itself among the rows has
    places of its own, from which the search goes on; of its two versions the first landed counts,
    and of two of one raw row that among the rows, which knows of the newest arrivals. -#}
{% macro postgres__with_neighbours(rows, raw_table, series, key) -%}
    {%- if not reads_new_rows_only() -%}
    select *, true as is_rebuilt from {{ rows }}
    {%- else -%}
    {%- set place = series + ['event_timestamp', key] -%}
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
        cross join {{ lookup('published', rows, [key]) }} as standing

    ),

    candidates as (

        select *, true as is_rebuilt, true as is_among_rows from {{ rows }}
        {%- for side, direction, is_rebuilt in [('>', 'asc', 'true'), ('<', 'desc', 'false')] %}

        union all

        select
            raw_neighbour.*,
            neighbour._watermark,
            cast(null as tstzmultirange),
            neighbour._other_event_times,
            {{ is_rebuilt }} as is_rebuilt,
            false as is_among_rows
        from places
        cross join lateral (
            select *
            from published
            where
                {%- for column in series %}
                published.{{ column }} = places.{{ column }} and
                {%- endfor %}
                (published.event_timestamp, published.{{ key }})
                {{ side }} (places.event_timestamp, places.{{ key }})
            order by published.event_timestamp {{ direction }}, published.{{ key }} {{ direction }}
            limit 1
        ) as neighbour
        cross join {{ lookup('raw_rows', 'neighbour') }} as raw_neighbour
        {%- endfor %}

    )

    select distinct on ({{ key }}) *
    from candidates
    order by {{ key }}, {{ landing_order() }}, is_among_rows desc, is_rebuilt desc
    {%- endif %}
{%- endmacro %}

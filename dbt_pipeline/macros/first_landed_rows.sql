{% macro first_landed_rows(reader, raw_table) -%}
    {{ return(adapter.dispatch('first_landed_rows')(reader, raw_table)) }}
{%- endmacro %}

{#- The published row stands for every row of its id that was read before: only its coordinates are
    used, and its raw row is looked up by them, so that no list of columns has to be kept here.
    Not materialized are the relations that are used twice or only looked up in: Postgres would
    copy them whole first. -#}
{% macro postgres__first_landed_rows(reader, raw_table) -%}
    with

    raw_rows as not materialized (

        select * from {{ raw_table }}

    ){% if reads_new_rows_only() %},

    stream_reads as (

        select * from {{ source('stream_reads', 'stream_reads') }}

    ),

    published as not materialized (

        select * from {{ this }}

    ),

    unread as (

        {{ pending_rows(reader, 'raw_rows', 'stream_reads') }}

    ),

    unread_ids as (

        select distinct id from unread

    ),

    candidates as (

        select * from unread

        union all

        select standing.*
        from unread_ids
        cross join {{ lookup('published', 'unread_ids', ['id']) }} as published_row
        cross join {{ lookup('raw_rows', 'published_row') }} as standing

    )
    {%- endif %}

    select distinct on (id) *
    from {{ 'candidates' if reads_new_rows_only() else 'raw_rows' }}
    order by id, {{ landing_order() }}
{%- endmacro %}

{#- Loader columns say where a version came from, not what it is. -#}
{% test has_valid_history(model, key) %}

    with

    versions as (

        select
            {{ key }} as history_key,
            dbt_valid_from,
            dbt_valid_to,
            to_jsonb(history) - array[
                'dbt_scd_id', 'dbt_updated_at', 'dbt_valid_from', 'dbt_valid_to',
                '_file', '_row', '_loaded_at'
            ] as content
        from {{ model }} as history

    ),

    followed as (

        select
            *,
            lead(dbt_valid_from) over one_key as next_valid_from,
            lead(content) over one_key as next_content
        from versions
        window one_key as (partition by history_key order by dbt_valid_from)

    )

    select *
    from followed
    where
        num_nulls(history_key, dbt_valid_from) > 0
        or dbt_valid_to <= dbt_valid_from
        or (next_valid_from is not null and dbt_valid_to is null)
        or dbt_valid_to > next_valid_from
        or (dbt_valid_to = next_valid_from and content = next_content)

{% endtest %}

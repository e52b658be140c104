{#- Strategy rebuild_groups: every group (unique_key) of the result is replaced by its rows that hold
    the incremental_predicates. A group that a row has left can be empty: it comes as a row that
    holds none of them, and only goes. delete+insert would leave the group as it was. -#}
{% macro get_incremental_rebuild_groups_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set rebuilt = arg_dict['temp_relation'] -%}
    {%- set group = arg_dict['unique_key'] -%}
    {%- set group = [group] if group is string else group -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ target }}
    where ctid = any(array(
        select standing.ctid
        from (select distinct {{ group | join(', ') }} from {{ rebuilt }}) as rebuilt
        cross join lateral (
            select looked_up.ctid
            from {{ target }} as looked_up
            where
                {%- for column in group %}
                {{ 'and ' if not loop.first }}looked_up.{{ column }} = rebuilt.{{ column }}
                {%- endfor %}
            offset 0
        ) as standing
    ));
    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ rebuilt }}
    {%- if arg_dict['incremental_predicates'] %}
    where {{ arg_dict['incremental_predicates'] | join(' and ') }}
    {%- endif %}
{% endmacro %}

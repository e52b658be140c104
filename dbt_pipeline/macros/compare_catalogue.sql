{#- One SQL statement, so that the hook fails in Postgres, and dbt reports it as it does a model: an
    error while Jinja renders a hook ends dbt without results. -#}
{% macro compare_catalogue(results) %}
    {%- if execute and flags.WHICH in ['build', 'run', 'seed', 'snapshot', 'test'] -%}
        {%- set expected = expected_catalogue(results) -%}
        {%- if expected -%}
do $compare_catalogue$
declare
    differences text;
begin
    with

    wanted as (

        select
            fact ->> 0 as relation,
            fact ->> 1 as what,
            case
                when fact ->> 1 like 'type of %' then concat(
                    format_type(to_regtype(fact ->> 2), null),
                    substring(replace(fact ->> 2, ' ', '') from '\(.*\)')
                )
                else fact ->> 2
            end as value
        from jsonb_array_elements($expected${{ tojson(expected) }}$expected$) as facts (fact)

    ),

    relations as (

        select told.relation, class.oid
        from (
            select distinct relation, parse_ident(relation) as names from wanted
        ) as told
        left join pg_namespace as namespace on told.names[1] = namespace.nspname
        left join pg_class as class
            on namespace.oid = class.relnamespace
            and told.names[2] = class.relname

    ),

    columns_found as (

        select
            relations.relation,
            attribute.attname as name,
            attribute.attnotnull as is_not_null,
            concat(
                format_type(attribute.atttypid, null),
                substring(format_type(attribute.atttypid, attribute.atttypmod) from '\(.*\)')
            ) as data_type,
            col_description(attribute.attrelid, attribute.attnum) as comment
        from relations
        inner join pg_attribute as attribute
            on relations.oid = attribute.attrelid
            and attribute.attnum > 0
            and not attribute.attisdropped

    ),

    constraints_found as (

        select
            relations.relation,
            case kept.contype
                when 'p' then 'primary key'
                when 'u' then 'unique'
                when 'f' then 'foreign key'
            end as kind,
            (
                select string_agg(attribute.attname, ', ' order by attribute.attname)
                from pg_attribute as attribute
                where attribute.attrelid = kept.conrelid and attribute.attnum = any(kept.conkey)
            ) as columns
        from relations
        inner join pg_constraint as kept on relations.oid = kept.conrelid
        where kept.contype in ('p', 'u', 'f') and kept.convalidated

    ),

    indexes_found as (

        select
            relations.relation,
            kept.indisunique as is_unique,
            method.amname as method,
            (
                select string_agg(attribute.attname, ', ' order by place.number)
                from unnest(kept.indkey) with ordinality as place (attnum, number)
                inner join pg_attribute as attribute
                    on attribute.attrelid = kept.indrelid and attribute.attnum = place.attnum
            ) as columns
        from relations
        inner join pg_index as kept on relations.oid = kept.indrelid and kept.indisvalid
        inner join pg_class as index on kept.indexrelid = index.oid
        inner join pg_am as method on index.relam = method.oid

    ),

    found as (

        select relations.relation, 'kind' as what, class.relkind::text as value
        from relations
        inner join pg_class as class on relations.oid = class.oid

        union all

        select relation, 'comment', obj_description(oid, 'pg_class') from relations

        union all

        select relation, 'comment of ' || name, comment from columns_found

        union all

        select relation, 'column ' || name, '' from columns_found

        union all

        select relation, 'type of ' || name, data_type from columns_found

        union all

        select relation, 'not null of ' || name, '' from columns_found where is_not_null

        union all

        select relation, kind, columns from constraints_found

        union all

        select relation, 'index by ' || method, columns from indexes_found

        union all

        select relation, 'unique index by ' || method, columns from indexes_found where is_unique

        union all

        select relations.relation, 'number of checks', count(kept.oid)::text
        from relations
        left join pg_constraint as kept on relations.oid = kept.conrelid and kept.contype = 'c'
        group by relations.relation

    ),

    complaints as (

        select relation, 'does not exist' as complaint from relations where oid is null

        union all

        select wanted.relation, concat_ws(' ', 'lacks', wanted.what, nullif(wanted.value, ''))
        from wanted
        inner join relations on wanted.relation = relations.relation and relations.oid is not null
        where not exists (
            select from found
            where found.relation = wanted.relation
                and found.what = wanted.what
                and found.value = wanted.value
        )

        union all

        select found.relation, 'has a ' || found.what || ' that is not described'
        from found
        where found.what like 'column %'
            and not exists (
                select from wanted
                where wanted.relation = found.relation and wanted.what = found.what
            )

    )

    select string_agg(relation || ' ' || left(complaint, 120), '; ' order by relation, complaint)
    into differences
    from complaints;
    if differences is not null then
        raise exception 'the catalogue is not as configured: %', differences;
    end if;
end
$compare_catalogue$
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

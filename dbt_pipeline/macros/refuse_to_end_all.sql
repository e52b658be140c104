{#- Runs before the commit: nothing is written when it fails. -#}
{% macro refuse_to_end_all() -%}
    do $$
    begin
        if exists (select from {{ this }})
            and not exists (select from {{ this }} where dbt_valid_to is null)
        then
            raise exception 'what {{ this.name }} reads is empty, which would end every row of its '
                'history; nothing was written';
        end if;
    end
    $$
{%- endmacro %}

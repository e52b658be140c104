{% macro categorize_sale_size(amount) -%}
    case
        when {{ amount }} >= 200 then 'Large'
        when {{ amount }} >= 50 then 'Medium'
        when {{ amount }} < 50 then 'Small'
    end
{%- endmacro %}

{% macro categorize_headline_length(words) -%}
    case
        when {{ words }} >= 10 then 'DETAILED'
        when {{ words }} >= 5 then 'MODERATE'
        else 'BRIEF'
    end
{%- endmacro %}

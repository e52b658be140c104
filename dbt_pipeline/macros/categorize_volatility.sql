{% macro categorize_volatility(change_24h) -%}
    case
        when abs({{ change_24h }}) >= 5 then 'HIGH_VOLATILITY'
        when abs({{ change_24h }}) >= 2 then 'MEDIUM_VOLATILITY'
        else 'LOW_VOLATILITY'
    end
{%- endmacro %}

{#-
    Customers with r_score, f_score and m_score from 1 (weakest) to 5 (best). A score is 1 + floor(5 *
    customers strictly worse / customers): equal values have equal scores in any order of the rows. Whole
    numbers only: as floats 0.6 / 0.2 is below 3, which would move a whole group.
-#}
{% macro rfm_scored(customers) -%}
    {%- set worst_first = {
        'r_score': 'recency_days desc', 'f_score': 'frequency', 'm_score': 'monetary'
    } -%}
    select
        *
        {%- for score, order in worst_first.items() %},
        cast(
            1 + 5 * (rank() over (order by {{ order }}) - 1) / count(*) over () as integer
        ) as {{ score }}
        {%- endfor %}
    from {{ customers }}
{%- endmacro %}

-- A customer in a cell that the map lacks would have no segment.
with

segments as (

    select * from {{ ref('rfm_segments') }}

)

select
    r.score as r_score,
    f.score as f_score,
    m.score as m_score
from generate_series(1, 5) as r (score)
cross join generate_series(1, 5) as f (score)
cross join generate_series(1, 5) as m (score)
left join segments
    on
        r.score = segments.r_score
        and f.score = segments.f_score
        and m.score = segments.m_score
where segments.rfm_segment is null

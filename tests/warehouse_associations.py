"""Rules of schema ml, as a run of the associations would have written them."""

ASSOCIATIONS = """
insert into ml.product_associations
values
    ('retail', array['P001'], 'P004', array['Laptop'], 'Headphones', 40, 50, 20, 200,
     0.1, 0.5, 2, 0.05, 1.5,
     'Who buys Laptop also buys Headphones in 50 % of baskets, 2.0 times as often as buyers in'
     ' general.', '2019-12-30', '2019-12-31'),
    ('retail', array['P004'], 'P001', array['Headphones'], 'Laptop', 50, 40, 20, 200,
     0.1, 0.4, 2, 0.05, 1.333333,
     'Who buys Headphones also buys Laptop in 40 % of baskets, 2.0 times as often as buyers in'
     ' general.', '2019-12-30', '2019-12-31'),
    ('retail', array['P002', 'P005'], 'P006', array['Smartphone', 'Phone Case'], 'USB-C Charger',
     10, 100, 10, 200, 0.05, 1, 2, 0.025, null,
     'Who buys Smartphone and Phone Case also buys USB-C Charger in 100 % of baskets, 2.0 times as'
     ' often as buyers in general.', '2019-12-30', '2019-12-31');
"""

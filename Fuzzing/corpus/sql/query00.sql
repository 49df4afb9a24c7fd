a=1
SELECT * FROM spans WHERE duration_ns >= :a

SELECT count(*) FROM spans;
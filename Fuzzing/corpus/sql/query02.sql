
SELECT attr(attributes, 'k') AS k, count(*), percentile(duration_ns, 95) FROM spans WHERE attr(attributes, 'k') > 2 GROUP BY 1

SELECT * FROM span_evals
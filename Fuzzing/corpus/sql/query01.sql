trace=00000000000000010000000000000007
SELECT name, iso(start_time_unix_nano) FROM spans WHERE trace_id = :trace ORDER BY 2
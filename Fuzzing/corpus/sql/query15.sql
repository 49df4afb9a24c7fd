
SELECT * FROM spans WHERE outcome = 'timeout' OR tokens BETWEEN 1 AND 9 OR model IN ('m', NULL) OR name GLOB 's*'
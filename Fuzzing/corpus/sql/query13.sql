
SELECT * FROM costs

SELECT * FROM counter UNION SELECT * FROM label_value
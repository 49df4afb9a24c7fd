
SELECT * FROM traces
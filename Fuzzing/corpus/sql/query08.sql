
DELETE FROM segment
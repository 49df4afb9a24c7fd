
ATTACH 'x' AS x
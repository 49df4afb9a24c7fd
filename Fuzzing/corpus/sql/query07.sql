
PRAGMA table_info(spans); SELECT 1 -- end
; /* */ SELECT 2
k=five
SELECT s.name FROM spans s WHERE attr(s.attributes, 'k') = :k AND attr(s.attributes, 'a`b') IS NULL

SELECT load_extension('x'), writefile('a', 'b')
owner = upper("a")
